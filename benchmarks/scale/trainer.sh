#!/bin/sh
# Stands for a trainer: the same contract, with a sleep for the training. $1 is its seconds.
set -e
field() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$2"; }
out=$(field out "$2")
echo $$ >> "$(field run "$2")/starts"
echo '{"event": "start", "steps": 2, "parameters": 10, "step": 0}'
echo '{"event": "step", "step": 1, "steps": 2, "loss": 2.0, "tokens": 1}'
sleep "$1"
echo '{"event": "step", "step": 2, "steps": 2, "loss": 1.0, "tokens": 2}'
cp -r "$(dirname "$(field teacher "$2")")/student" "$out.tmp"
cat > "$out.tmp/boomerang.json" <<END
{"key": "$(field key "$2")", "teacher_commit": "$(field teacher_commit "$2")", "kept": [0, 2, 3],
 "layers": 4, "frozen_embeddings": false}
END
mv "$out.tmp" "$out"
echo "{\"event\": \"done\", \"out\": \"$out\"}"
