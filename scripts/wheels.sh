# Virtual environments with upstream's wheels; to be sourced after common.sh. They are kept in .build/interop.

wheels=$root/.build/interop
mkdir -p "$wheels"

# environment NAME REQUIREMENT...: a virtual environment with these packages, made once
environment() {
  local directory=$wheels/$1
  shift
  if [ ! -e "$directory/ready" ]; then
    say "installing $*"
    rm -rf "$directory"
    python3 -m venv "$directory"
    "$directory/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$directory/ready"
  fi
}
