#!/bin/bash
# As the official image's: the addresses, the seeds and the ring's names follow the environment.
set -eu
address=$(hostname -i | cut -d ' ' -f 1)
sed -i "s/@ADDRESS@/$address/; s/@SEEDS@/${CASSANDRA_SEEDS:-$address}/" /etc/cassandra/cassandra.yaml
printf 'dc=%s\nrack=rack1\n' "${CASSANDRA_DC:-datacenter1}" > /etc/cassandra/cassandra-rackdc.properties
mkdir -p /var/lib/cassandra/tmp
# shellcheck disable=SC2086 # the extra options are several words
exec /opt/java/bin/java "-Xmx${MAX_HEAP_SIZE:-1G}" @/etc/cassandra/java.options ${JVM_EXTRA_OPTS:-} \
    -classpath '/etc/cassandra:/opt/cassandra/*' org.apache.cassandra.service.CassandraDaemon
