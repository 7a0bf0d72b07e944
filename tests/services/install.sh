#!/bin/sh
# Installs the servers that the tests run privately: RabbitMQ, PostgreSQL and Dovecot; promtool, which checks the
# alert rules; and Chromium, in which the pages are tested; from the system's own packages.
# Needs no terminal. Says nothing much when all are there. Ends with 1 and a reason when it cannot install.
set -eu

say() { printf '%s\n' "install.sh: $*"; }
fail() { printf '%s\n' "install.sh: $*" >&2; exit 1; }

have_rabbitmq() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null 2>&1
}

# Debian keeps PostgreSQL's server programs off PATH, in one folder for each major version.
have_postgresql() {
    for program in /usr/lib/postgresql/*/bin/initdb; do
        if [ -x "$program" ]; then return 0; fi
    done
    command -v initdb >/dev/null 2>&1
}

# Debian keeps Dovecot's own programs off PATH; the imap one comes with dovecot-imapd, the others with dovecot-core.
have_dovecot() {
    [ -x /usr/lib/dovecot/imap ] && { [ -x /usr/sbin/dovecot ] || command -v dovecot >/dev/null 2>&1; }
}

# Of Prometheus only its checker is used; Debian has it in the same package.
have_promtool() {
    command -v promtool >/dev/null 2>&1
}

have_chromium() {
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1
}

missing_packages() {
    have_rabbitmq || printf 'rabbitmq-server '
    have_postgresql || printf 'postgresql '
    have_dovecot || printf 'dovecot-imapd '
    have_promtool || printf 'prometheus '
    have_chromium || printf 'chromium '
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

check_rights() {
    if [ "$(id -u)" -eq 0 ]; then return 0; fi
    command -v sudo >/dev/null 2>&1 ||
        fail "missing: $wanted; installing needs root, and there is no sudo. As root: apt-get install $wanted"
    # A password can be given at a terminal only.
    if [ -t 0 ]; then sudo -v || true; fi
    sudo -n true 2>/dev/null ||
        fail "missing: $wanted; sudo wants a password, and none can be given here." \
            "By hand: sudo apt-get install $wanted"
}

known_to_apt() {
    for package in $wanted; do
        apt-cache show "$package" >/dev/null 2>&1 || return 1
    done
}

# Dovecot waits on a socket of systemd's, too; the others' services are called as their packages.
services_of() {
    for package in $1; do
        case $package in
            chromium) ;;
            dovecot-imapd) printf 'dovecot.service dovecot.socket ' ;;
            *) printf '%s.service ' "$package" ;;
        esac
    done
}

# The tests start private servers of their own; the packages' would only take memory. The mask lies in /run
# and is taken away again, so nothing of the machine's own policy is changed.
mask_services() {
    masked=
    if [ ! -d /run/systemd/system ]; then return 0; fi
    for service in $(services_of "$wanted"); do
        if as_root systemctl mask --runtime --quiet "$service"; then
            masked="$masked $service"
        fi
    done
}

unmask_services() {
    for service in $masked; do
        as_root systemctl unmask --runtime --quiet "$service" ||
            say "please run: systemctl unmask --runtime $service"
    done
    masked=
}

# RUNLEVEL=1 keeps packages from starting services where there is no systemd to mask them in.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 PREVLEVEL=N apt-get -qq -y \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

update_list() {
    say "fetching the list of packages (apt-get update)"
    apt_get update || fail "apt-get update failed; is there a way to the package server?"
}

install_once() {
    # shellcheck disable=SC2086 # a list of names
    apt_get install --no-install-recommends $wanted
}

install_packages() {
    known_to_apt || update_list
    known_to_apt || fail "apt knows no package for: $wanted"
    say "installing: $wanted"
    say "their own services are not needed, and are kept from starting now where the system allows;" \
        "to keep them off at the next boot too: systemctl disable $(services_of "$wanted")"
    mask_services
    trap unmask_services EXIT
    trap 'exit 1' HUP INT TERM
    if install_once; then return 0; fi
    # An old list of packages may name versions which the package server has no more.
    update_list
    install_once || fail "apt-get could not install: $wanted"
}

wanted=$(missing_packages)
wanted=${wanted% }
if [ -z "$wanted" ]; then
    say "RabbitMQ, PostgreSQL, Dovecot, promtool and Chromium are here"
    exit 0
fi
command -v apt-get >/dev/null 2>&1 ||
    fail "missing: $wanted; there is no apt-get here. Install them in this system's own way, then try again"
check_rights
install_packages
[ -z "$(missing_packages)" ] || fail "installed, but their programs were not found: $(missing_packages)"
say "done"
