# Answers to the same variables as the official image, as far as stack.yml sets them.
FROM deploy-root
COPY java /opt/java
COPY jars /opt/cassandra
COPY conf /etc/cassandra
COPY start /usr/local/bin/start
RUN useradd --system cassandra && install -d -o cassandra /var/lib/cassandra \
    && chown -R cassandra /etc/cassandra
USER cassandra
VOLUME /var/lib/cassandra
CMD ["/usr/local/bin/start"]
