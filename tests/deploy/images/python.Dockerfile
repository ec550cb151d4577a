# The base of the service's image, where python:...-slim cannot be had.
FROM deploy-root
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv \
    && apt-get clean
# This machine's authorities, which a mirror of PyPI may need.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
