# shellcheck shell=bash
# shellcheck disable=SC2034  # what these set is read by ensure.sh, which sources this
# What the machine has: Java, Python, a compiler; and how to get what it lacks.

# Sets JAVA to there (17 or newer), none (none is found, or an older one on the PATH: the environment gets one of its
# own) or broken (JAVA_HOME, or the java that is there, doesn't work: for the user to mend), and WHY_NO_JAVA.
look_for_java() {
    local java said="" status=0 version='version "([0-9]+)'
    JAVA=none WHY_NO_JAVA="no java was found on the PATH"
    if [[ -n ${JAVA_HOME:-} && ! $JAVA_HOME -ef $ROOT/.venv ]]; then
        java=$JAVA_HOME/bin/java
        if [[ ! -x $java ]]; then JAVA=broken WHY_NO_JAVA="JAVA_HOME=$JAVA_HOME has no bin/java" && return; fi
    else
        java=$(command -v java) || return 0
        if [[ $java -ef $ROOT/.venv/bin/java ]]; then return 0; fi
    fi
    said=$("$java" -version 2>&1) || status=$?
    if [[ $status != 0 || ! $said =~ $version ]]; then
        if [[ $said == *"Unable to locate a Java Runtime"* ]]; then return 0; fi   # what macOS has where there is none
        JAVA=broken WHY_NO_JAVA="\`$java -version\` failed with exit status $status: $said"
    elif [[ ${BASH_REMATCH[1]} -ge 17 ]]; then
        JAVA=there
    else
        WHY_NO_JAVA="$java is version ${BASH_REMATCH[1]}"
        if [[ -n ${JAVA_HOME:-} ]]; then JAVA=broken; fi
    fi
}

advise_java() {
    say "Spark needs Java 17 or newer; $WHY_NO_JAVA"
    if [[ $JAVA == broken ]]; then
        say "Mend it; or take it off the PATH and unset JAVA_HOME: where no java is found, one is installed into .venv."
        return
    fi
    cat >&2 <<'TEXT'
  How to get it:
  Debian, Ubuntu: apt-get install default-jre-headless
  Fedora, RHEL:   dnf install java-21-openjdk-headless
  macOS:          brew install openjdk@21, and export JAVA_HOME="$(brew --prefix openjdk@21)"
  or deactivate this environment: into the project's own, in .venv, a Java is installed where none is found
TEXT
}

# Prints the path of a Python that can make the environment.
find_python() {
    local candidate found=""
    # All of each name: what comes first on the PATH may be a stub, or lack its module venv.
    while IFS= read -r candidate; do
        if [[ $candidate == "$ROOT/.venv/"* ]]; then continue; fi   # it may be about to be made anew
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
            found=${found:-$candidate}
            if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
                printf '%s\n' "$candidate"
                return 0
            fi
        fi
    done < <(
        type -ap python3.11 python3.12 python3.13 python3 python
        # What .venv was made with: it may no longer be on the PATH.
        if [[ -f $ROOT/.venv/pyvenv.cfg ]]; then sed -n 's/^executable = //p' "$ROOT/.venv/pyvenv.cfg"; fi
    )
    if [[ -n $found ]]; then
        say "$found can make no environments: its module venv or ensurepip is missing. How to get it:"
    else
        say "Python 3.11, 3.12 or 3.13 was not found on the PATH. How to get one:"
    fi
    cat >&2 <<'TEXT'
  anywhere:       uv python install 3.13   (or: pyenv install 3.13); then see that python3.13 is on the PATH
  Debian, Ubuntu: apt-get install python3 python3-venv   (where its python3 is one of these: Debian 12, 13, Ubuntu 24.04)
  Fedora, RHEL:   dnf install python3.12
  macOS:          brew install python@3.13
TEXT
    return 1
}

has_compiler() {
    local compiler
    for compiler in ${CXX:+"${CXX%% *}"} c++ g++ clang++; do
        if command -v "$compiler" >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

advise_compiler() {
    say "no C++ compiler was found. All but Horovod will be installed, and the quickstart will train by TensorFlowOnSpark."
    cat >&2 <<'TEXT'
  Debian, Ubuntu: apt-get install g++       Fedora, RHEL: dnf install gcc-c++       macOS: xcode-select --install
  The next start after that builds Horovod.
TEXT
}
