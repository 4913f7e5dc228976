# Virtual environments for wheels; to be sourced after common.sh. They are kept in $wheels, by default .build/interop,
# and made with $python, by default python3.

wheels=${wheels:-$root/.build/interop}
python=${python:-python3}
mkdir -p "$wheels"

# environment NAME REQUIREMENT...: a virtual environment with these packages, made once
environment() {
  local directory=$wheels/$1
  shift
  if [ ! -e "$directory/ready" ]; then
    say "installing $*"
    rm -rf "$directory"
    "$python" -m venv "$directory"
    "$directory/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$directory/ready"
  fi
}
