# What the scripts of this folder share: where the clone is and whose it is, how to become root, how to show a step.
# To be sourced by bash.

set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
owner=$(stat -c %u "$root")
group=$(stat -c %g "$root")
cd "$root"

# The one plain sentence when something can't go on.
fail() {
  echo "cabernet: $*" >&2
  exit 1
}

# Runs a command as root. Of the environment sudo keeps what matters here, not HOME: nothing of root's lands there.
as_root() {
  if ((EUID == 0)); then
    "$@"
    return
  fi
  # an ordinary user's has no places for root's commands: sysctl, ip of older releases
  local keep=("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin") name
  for name in CI TERM COLORTERM FORCE_COLOR NO_COLOR NODE_OPTIONS "${!CABERNET_@}"; do
    [[ -v $name ]] && keep+=("$name=${!name}")
  done
  sudo env "${keep[@]}" "$@"
}

# Runs a command as the owner of the clone, so that root leaves no files of its own there.
as_owner() {
  if ((EUID != 0 || owner == 0)); then
    "$@"
    return
  fi
  local entry home name groups=(--clear-groups) drop=()
  if entry=$(getent passwd "$owner"); then
    home=$(cut -d: -f6 <<<"$entry")
    groups=(--init-groups)
  fi
  [[ -d ${home-} ]] || home=$root/build/home
  # What `npm run` tells of root's own npm (where its cache is, say).
  for name in "${!npm_@}"; do drop+=(-u "$name"); done
  setpriv --reuid="$owner" --regid="$group" "${groups[@]}" env "${drop[@]}" HOME="$home" "$@"
}

# Said before anything is begun, not after minutes of set-up.
require_root() {
  ((EUID == 0)) && return
  command -v sudo >/dev/null || fail "$1 needs root, and there is no sudo: run it as root."
  sudo -n true 2>/dev/null && return
  [[ -t 0 || -t 2 ]] || fail "$1 needs root, and sudo asks for a password which nobody here can type."
  echo "$1 needs root:"
  sudo -v || fail "$1 needs root, and sudo refused: run it as root."
}

require_owner() {
  ((EUID == 0 || EUID == owner)) ||
    fail "this folder belongs to $(stat -c %U "$root"): work in a clone of your own, or as root."
}

require_kernel() {
  [[ $(uname -s) == Linux ]] || fail "Cabernet runs on Linux only, not on $(uname -s)."
  local major minor
  IFS=.- read -r major minor _ <<<"$(uname -r)"
  ((major > 6 || (major == 6 && minor >= 1))) ||
    fail "this kernel is $(uname -r), and the data plane needs Linux 6.1 or newer."
}

require_node() {
  command -v node >/dev/null || fail "there is no node on the PATH: Node.js 20.19 or newer is needed."
  local major minor
  IFS=. read -r major minor _ <<<"$(node -p process.versions.node)"
  ((major > 20 || (major == 20 && minor >= 19))) ||
    fail "this is Node.js $(node -p process.versions.node), and 20.19 or newer is needed."
}

# The kernel's side of what the programs need. As root, after set-up.
require_bpf() {
  if [[ $(stat -f -c %T /sys/fs/bpf 2>/dev/null) != bpf_fs ]]; then
    mount -t bpf bpf /sys/fs/bpf 2>/dev/null ||
      fail "the BPF file system can't be mounted at /sys/fs/bpf: this kernel or container doesn't allow BPF."
  fi
  unshare --net true 2>/dev/null || fail "network namespaces can't be made here: this container doesn't allow them."
  node dist/scripts/probe-bpf.js || exit 1
}

# Root may have written here after all (a report the caller asked for): it is the owner's.
give_back() {
  ((EUID == 0 && owner != 0)) || return 0
  find "$root" -xdev -user 0 -exec chown -h "$owner:$group" {} +
}

now() { date +%s%N; }

seconds_since() {
  local tenths=$((($(now) - $1) / 100000000))
  echo "$((tenths / 10)).$((tenths % 10)) s"
}

# step PREFIX TITLE COMMAND...: one line with the time it took; of a failure the log's end, and false.
# The log's path is left in $log.
step() {
  local prefix=$1 title=$2 begin
  shift 2
  begin=$(now)
  log=$(mktemp "${TMPDIR:-/tmp}/cabernet-$prefix.XXXXXX")
  printf '%s: %s ... ' "$prefix" "$title"
  if "$@" >"$log" 2>&1; then
    seconds_since "$begin"
    rm -f "$log"
    return
  fi
  echo "failed after $(seconds_since "$begin"); the end of $log:"
  tail -n 40 "$log" | sed 's/^/  /'
  return 1
}
