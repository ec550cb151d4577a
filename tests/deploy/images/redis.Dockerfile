FROM deploy-root
RUN apt-get update && apt-get install -y --no-install-recommends redis-server redis-sentinel \
    && apt-get clean
USER redis
