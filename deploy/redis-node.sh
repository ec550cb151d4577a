#!/bin/sh
# Start Redis or Sentinel with its users, or check that it answers.
#   redis-node.sh alone|server ARGUMENTS...   Redis; server: of stack.cluster.yml
#   redis-node.sh sentinel
#   redis-node.sh check|check-sentinel        for a health check
#
# Users: `content`, the service's, has the least rights that docs/operations.md names; `admin` is for
# replicas, sentinels, health checks and operators; `default` is off.
#
# In the cluster nodes are known by addresses and not by names. A name that is gone takes Docker's
# DNS seconds to deny, and Redis and Sentinel stand still for that long, just when one is to take
# over. A task that comes back has another address, so it asks who is master, and follows.
set -euf
umask 077
RIGHTS='~content:* -@all +hello +client +info +config|get +mget +evalsha +eval +get +set +del +time
    +pttl +pexpire +zadd +zrem +zcount +zremrangebyscore'
SENTINEL_RIGHTS='-@all +hello +auth +ping +client|setname
    +sentinel|get-master-addr-by-name +sentinel|master +sentinel|replicas +sentinel|sentinels'

kind=$1
shift
SECRETS=${SECRETS:-/run/secrets}
RUN=${RUN:-/tmp}

# A password stands in URLs and configurations, so it is of letters, digits and -._~ alone.
secret() {
    text=$(tr -d '\r\n' < "$SECRETS/$1")
    case $text in
        '' | *[!A-Za-z0-9._~-]*)
            echo "redis-node.sh: the secret $1 may have letters, digits and -._~ alone" >&2
            exit 1
            ;;
    esac
    echo "$text"
}
admin=$(secret redis_admin_password)
export REDISCLI_AUTH="$admin"

cli() { timeout 3 redis-cli --user admin "$@" 2>/dev/null || true; }
# The address that this sentinel, or the first that answers, gives as the master's.
known() { cli "$@" -p 26379 --raw sentinel get-master-addr-by-name content | head -n 1; }
answers() { [ "$(cli -h "$1" ping)" = PONG ]; }
# The address of a Redis of this name, if it is a master.
master_at() {
    if [ "$(cli -h "$1" --raw role | head -n 1)" = master ]; then
        cli -h "$1" client info | sed -n 's/.* laddr=\([0-9.]*\):.*/\1/p'
    fi
}

case $kind in
    check) answers 127.0.0.1 && exit 0 || exit 1 ;;
    check-sentinel) answers "$(known)" && exit 0 || exit 1 ;;
esac
password=$(secret redis_password)

if [ "$kind" = sentinel ]; then
    while :; do
        master=$(known -h tasks.sentinel)
        if [ -n "$master" ] && answers "$master"; then break; fi
        for name in redis redis-replica; do
            master=$(master_at $name)
            if [ -n "$master" ]; then break 2; fi
        done
        sleep 1
    done
    # Its id follows from its slot: one that comes back takes its own place among the others.
    {
        cat /etc/content/sentinel.conf
        echo "user default on >$password resetchannels" $SENTINEL_RIGHTS
        echo "user admin on >$admin allkeys allchannels +@all"
        echo "sentinel sentinel-user admin"
        echo "sentinel sentinel-pass $admin"
        echo "sentinel myid $(echo "$SLOT" | sha1sum | cut -c 1-40)"
        echo "sentinel monitor content $master 6379 2"
        echo "sentinel auth-user content admin"
        echo "sentinel auth-pass content $admin"
        echo "sentinel down-after-milliseconds content 5000"
        echo "sentinel failover-timeout content 10000"
    } > "$RUN/sentinel.conf"
    exec redis-server "$RUN/sentinel.conf" --sentinel
fi

master=
while [ "$kind" = server ]; do
    master=$(known -h tasks.sentinel)
    if [ -n "$master" ]; then
        # one that is dead is about to be replaced, and who comes back too early would be nobody's
        if answers "$master"; then break; fi
    else
        for name in redis redis-replica; do
            master=$(master_at $name)
            if [ -n "$master" ]; then break 2; fi
        done
        if [ "$(hostname)" = redis ]; then break; fi # the first of a new site
    fi
    sleep 1
done
{
    echo "user default off"
    echo "user content on >$password resetchannels" $RIGHTS
    echo "user admin on >$admin allkeys allchannels +@all"
    echo "masteruser admin"
    echo "masterauth $admin"
} > "$RUN/redis.conf"
exec redis-server "$RUN/redis.conf" "$@" ${master:+--replicaof "$master" 6379}
