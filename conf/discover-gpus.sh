#!/bin/sh
# Tells Spark which GPUs an executor has, where the cluster manager gives out a number of them but doesn't say which (YARN
# without isolation). Executors of one node ask in turn, and each gets GPUs that no other living one has.
#   spark.executor.resource.gpu.discoveryScript   this file, sent by --files (spark-submit.sh does so by itself on YARN)
#   SPARKTRAIN_GPUS       how many the executor asked for (spark.executor.resource.gpu.amount); 1 if it isn't set
#   SPARKTRAIN_GPU_LIST   the node's GPUs, such as "0 1"; if it isn't set, nvidia-smi is asked
set -eu
wanted=${SPARKTRAIN_GPUS:-1}
executor=$PPID
claims=/tmp/sparktrain-gpu-claims   # not TMPDIR: all executors of the node must find the same

born() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null || true; }   # tells a process from a later one of the same number

# All users write there, each only files of their own, as in /tmp itself.
mkdir -m 1777 "$claims" 2>/dev/null || true
if [ -L "$claims" ] || [ ! -d "$claims" ] || [ ! -k "$claims" ]; then
    echo "$claims is not the folder that executors settle GPUs in (mode 1777): have its owner remove it" >&2
    exit 1
fi
exec 9<"$claims"
flock 9
taken="" addresses="" count=0
for gpu in ${SPARKTRAIN_GPU_LIST:-$(nvidia-smi --query-gpu=index --format=csv,noheader)}; do
    holder=""
    for claim in "$claims/$gpu@"*; do   # one of each user who has had it
        owner="" since=""
        if [ -f "$claim" ]; then read -r owner since <"$claim" || true; fi
        if [ -n "$since" ] && [ "$owner" != "$executor" ] && [ "$(born "$owner")" = "$since" ]; then holder=$owner; fi
    done
    if [ -n "$holder" ]; then
        taken="$taken $gpu (process $holder)"
        continue
    fi
    if [ "$count" -lt "$wanted" ]; then
        fresh=$(mktemp "$claims/new.XXXXXX")
        echo "$executor $(born "$executor")" >"$fresh"
        chmod 644 "$fresh"
        mv -fT "$fresh" "$claims/$gpu@$(id -u)"   # never through a link that another has put there
        addresses="$addresses${addresses:+, }\"$gpu\""
        count=$((count + 1))
    fi
done
if [ "$count" -lt "$wanted" ]; then
    echo "$wanted GPU(s) were asked for on $(hostname), and $count are free; taken:${taken:- none}" >&2
    exit 1
fi
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
