#!/bin/sh
# NAME_FILE=path becomes NAME=<content of the file>: a secret is a file here, never a line in compose.yaml or `docker inspect`.
set -eu
for name in $(env | sed -n 's/^\(\(BRAINTUMOR\|CELERY\|MONAI_LABEL\|PG\)[A-Z0-9_]*\)_FILE=.*/\1/p'); do
  eval "file=\${${name}_FILE}"
  if [ ! -r "$file" ]; then
    echo "The secret for $name cannot be read: $file. Let user $(id -u) read it." >&2
    exit 78
  fi
  export "$name=$(cat "$file")"
  unset "${name}_FILE"
done
exec "$@"
