#!/bin/sh
# Of stack.cluster.yml: starts a Redis or a Sentinel after it has found out who is master.
#   redis-node.sh server|sentinel [redis-server's arguments]
#
# By addresses and not by names: a name that is gone takes Docker's DNS seconds to deny, and Redis
# and Sentinel stand still for that long, just when one is to take over. Since a task that comes
# back has another address, it asks who is master, and follows.
set -eu
kind=$1
shift

cli() { timeout 3 redis-cli "$@" 2>/dev/null || true; }
# Whom the sentinels call master; nothing while none of them runs.
known() { cli -h tasks.sentinel -p 26379 --raw sentinel get-master-addr-by-name content | head -n 1; }
answers() { [ "$(cli -h "$1" ping)" = PONG ]; }
# The address of a Redis of this name, if it is a master.
master_at() {
    if [ "$(cli -h "$1" --raw role | head -n 1)" = master ]; then
        cli -h "$1" client info | sed -n 's/.* laddr=\([0-9.]*\):.*/\1/p'
    fi
}

if [ "$kind" = sentinel ]; then
    while :; do
        master=$(known)
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
        echo "sentinel myid $(echo "$SLOT" | sha1sum | cut -c 1-40)"
        echo "sentinel monitor content $master 6379 2"
        echo "sentinel down-after-milliseconds content 5000"
        echo "sentinel failover-timeout content 10000"
    } > /tmp/sentinel.conf
    exec redis-server /tmp/sentinel.conf --sentinel
fi

while :; do
    master=$(known)
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
exec redis-server "$@" ${master:+--replicaof "$master" 6379}
