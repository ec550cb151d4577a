FROM deploy-root
RUN apt-get update && apt-get install -y --no-install-recommends prometheus && apt-get clean
RUN install -d -o prometheus /prometheus
USER prometheus
VOLUME /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
