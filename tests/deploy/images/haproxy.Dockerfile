FROM deploy-root
RUN apt-get update && apt-get install -y --no-install-recommends haproxy && apt-get clean
# As the official image: its own user, and the signal that lets requests end.
USER haproxy
STOPSIGNAL SIGUSR1
