#!/usr/bin/env bash
# The one script for people and for CI.
#
#   ./ci.sh deps [program|all]   install missing packages (does nothing when all are there)
#   ./ci.sh build [preset]       configure and build: release (default), dev, asan, tsan
#   ./ci.sh test                 deps, build, every test; ends with "N passed, N failed"
#   ./ci.sh asan                 the same under the address and undefined-behaviour sanitizers
#   ./ci.sh lint [file...]       layers, format, clang-tidy of what changed since the last commit (or of the files given)
#   ./ci.sh bench                the benches, with the machine's own peak beside each figure
#   ./ci.sh package              build/package/sumi_VERSION_ARCH.deb, installed and run in a bare system (as root)
#   ./ci.sh test-clients         real clients and a browser against the server (needs Node.js 20 with npm)
#   ./ci.sh soak-serve [jobs]    many small jobs (10,000) through the server: memory and descriptors must stay flat
#   ./ci.sh fuzz [inputs]        damaged requests (ten million) for the server's readers, under the sanitizers
#   ./ci.sh soak-jobs [jobs]     many jobs at once on one model (4 threads of 50) under the thread and address sanitizers
#   ./ci.sh soak [rounds]        repeat the tests (20 rounds) until one fails
#
# SUMI_JOBS sets how many compilers and tests run at once (default: one a core).
set -euo pipefail
cd "$(dirname "$0")"

jobs=${SUMI_JOBS:-$(nproc 2>/dev/null || sysctl -n hw.ncpu)}

die() { echo "ci.sh: $*" >&2; exit 1; }
say() { echo "== $*"; }

# The one whose modules the system's packages bring.
system_python=/usr/bin/python3
[ -x "$system_python" ] || system_python=python3

# What each job needs: its name for pkg-config (pc:), the shell (cmd:), Python (py:) or a header (h:), and its packages in apt, dnf and brew.
needs_program="
cmd:pkg-config  pkg-config            pkgconf             pkgconf
cmd:c++         g++                   gcc-c++             gcc
cmd:cmake       cmake                 cmake               cmake
cmd:ninja       ninja-build           ninja-build         ninja
pc:fmt          libfmt-dev            fmt-devel           fmt
pc:nlohmann_json nlohmann-json3-dev   json-devel          nlohmann-json
pc:yaml-cpp     libyaml-cpp-dev       yaml-cpp-devel      yaml-cpp
pc:CLI11        libcli11-dev          cli11-devel         cli11
pc:libpng       libpng-dev            libpng-devel        libpng
pc:libjpeg      libjpeg-dev           libjpeg-turbo-devel jpeg-turbo
pc:libwebp      libwebp-dev           libwebp-devel       webp
h:gif_lib.h     libgif-dev            giflib-devel        giflib
pc:libheif      libheif-dev           libheif-devel       libheif
pc:libcurl      libcurl4-openssl-dev  libcurl-devel       curl
h:boost/version.hpp libboost-dev      boost-devel         boost
pc:hiredis      libhiredis-dev        hiredis-devel       hiredis
pc:zlib         zlib1g-dev            zlib-devel          zlib
pc:libcrypto    libssl-dev            openssl-devel       openssl
pc:libhwy       libhwy-dev            highway-devel       highway
pc:libutf8proc  libutf8proc-dev       utf8proc-devel      utf8proc
pc:libpcre2-8   libpcre2-dev          pcre2-devel         pcre2
"
needs_all="$needs_program
pc:gtest        libgtest-dev          gtest-devel         googletest
pc:gmock        libgmock-dev          gmock-devel         googletest
pc:ompi-cxx     libopenmpi-dev        openmpi-devel       open-mpi
cmd:mpirun      openmpi-bin           openmpi             open-mpi
pc:freetype2    libfreetype-dev       freetype-devel      freetype
pc:harfbuzz     libharfbuzz-dev       harfbuzz-devel      harfbuzz
cmd:python3     python3               python3             python
h:opencv4/opencv2/imgproc/hal/interface.h libopencv-imgproc-dev opencv-devel opencv
py:pip          python3-pip           python3-pip         python
py:setuptools   python3-setuptools    python3-setuptools  python-setuptools
py:wheel        python3-wheel         python3-wheel       python-setuptools
py:numpy        python3-numpy         python3-numpy       numpy
py:PIL          python3-pil           python3-pillow      pillow
cmd:redis-server redis-server         redis               redis
"
# Node.js 20 or later with npm comes from wherever this machine has it; Debian 12's is older.
needs_clients="
cmd:chromium    chromium              chromium            chromium
"
needs_lint="
cmd:clang-format clang-format         clang-tools-extra   clang-format
cmd:clang-tidy  clang-tidy            clang-tools-extra   llvm
cmd:python3     python3               python3             python
"
needs_bench="
pc:benchmark    libbenchmark-dev      google-benchmark-devel google-benchmark
pc:dnnl         libdnnl-dev           onednn-devel        onednn
pc:openblas     libopenblas-dev       openblas-devel      openblas
"
needs_package="
cmd:dpkg-shlibdeps dpkg-dev           -                   -
cmd:debootstrap debootstrap           -                   -
"

# Packages of the list in $1 that are missing, by the column $2 (2 apt, 3 dnf, 4 brew).
missing() {
  local what packages
  while read -r what packages; do
    case $what in
      "") continue ;;
      py:*) "$system_python" -c "import ${what#py:}" 2>/dev/null && continue ;;
      cmd:*) command -v "${what#cmd:}" >/dev/null && continue ;;
      h:*) echo "#include <${what#h:}>" | c++ -E -x c++ - >/dev/null 2>&1 && continue ;;
      pc:dnnl) [ -e /usr/include/dnnl.h ] || [ -e /usr/include/oneapi/dnnl/dnnl.h ] && continue ;;
      pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${what#pc:}" && continue ;;
    esac
    echo "$packages" | awk -v column="$(($2 - 1))" '{print $column}'
  done <<<"$1" | sort -u
}

deps() {
  local list packages as_root=""
  case ${1:-all} in
    program) list=$needs_program ;;
    all) list=$needs_all ;;
    lint) list=$needs_lint ;;
    bench) list=$needs_bench ;;
    package) list=$needs_package ;;
    clients) list=$needs_clients ;;
    *) die "deps: program, all, lint, bench, package or clients, not \"$1\"" ;;
  esac
  packages=$(missing "$list" 2)
  [ -z "$packages" ] && return
  if ! command -v apt-get >/dev/null; then
    if command -v dnf >/dev/null; then
      die "libraries are missing; run:  sudo dnf install $(missing "$list" 3 | xargs)"
    fi
    die "libraries are missing; with Homebrew run:  brew install $(missing "$list" 4 | xargs)"
  fi
  [ "$(id -u)" = 0 ] || as_root=sudo
  [ -z "$as_root" ] || command -v sudo >/dev/null ||
    die "packages are missing; as root run:  apt-get install $(echo "$packages" | xargs)"
  say "installing: $(echo "$packages" | xargs)"
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

# build PRESET [target...]
build() {
  local preset=${1:-release}
  [ $# -gt 0 ] && shift
  # Looks for libraries again, except for the program alone, which ./sumi builds on every call.
  if [ "$*" != sumi ] || [ ! -f "build/$preset/build.ninja" ]; then cmake --preset "$preset" >/dev/null; fi
  cmake --build --preset "$preset" --parallel "$jobs" ${1+--target "$@"}
}

# Runs the tests of a build tree and ends with the counts in one line.
run_tests() {
  local tree=$1 log status=0
  log=$(mktemp)
  (cd "$tree" && ctest --output-on-failure --parallel "$jobs" --timeout 900 --no-tests=error) 2>&1 | tee "$log" || status=$?
  if [[ $(tail -n 400 "$log") =~ The\ following\ tests\ did\ not\ run: ]]; then
    echo "skipped: $(grep -c '(Skipped)$' "$log"), their reasons above"
  fi
  if [[ $(tail -n 200 "$log") =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    echo "$((BASH_REMATCH[2] - BASH_REMATCH[1])) passed, ${BASH_REMATCH[1]} failed"
  fi
  rm -f "$log"
  return "$status"
}

lint() {
  local files status=0
  deps lint
  python3 tools/check_layers.py || status=1
  if [ $# -gt 0 ]; then
    files=$*
  else
    files=$( (git diff --name-only HEAD; git diff --name-only HEAD~1; git ls-files --others --exclude-standard) 2>/dev/null |
      sort -u | grep -E '\.(cc|h)$' | xargs -r ls 2>/dev/null || true)
  fi
  git ls-files '*.cc' '*.h' | xargs -r clang-format --dry-run -Werror || status=1
  [ -z "$files" ] && return "$status"
  [ -f build/release/compile_commands.json ] || cmake --preset release >/dev/null
  echo "$files" | xargs -n1 | { grep '\.cc$' || true; } | xargs -r -n1 -P "$jobs" clang-tidy --quiet -p build/release || status=1
  return "$status"
}

bench() {
  local program model=build/models/sd1_f16.safetensors
  deps bench
  build release sumi make_synthetic benches
  # Speed does not depend on the values of the weights: synthetic ones of Stable Diffusion 1.x's sizes will do.
  mkdir -p build/models
  [ -f "$model" ] || build/release/make_synthetic sd1 --dtype f16 --out "$model"
  say "the networks at 512x512, f16 weights"
  build/release/sumi bench --ckpt "$model"
  for program in build/release/bench/*_bench; do
    [ -x "$program" ] || continue
    say "$(basename "$program")"
    "$program" "$@"
  done
}

package() {
  command -v apt-get >/dev/null || die "package: makes a Debian package, on Debian or Ubuntu"
  [ "$(id -u)" = 0 ] || die "package: installs the package in a bare system, as root"
  deps program
  deps package
  build release sumi sumi_shared sumi_static
  rm -rf build/package
  (cd build/release && cpack -G DEB -B ../package)
  rm -rf build/package/_CPack_Packages
  dpkg-deb --info build/package/sumi_*.deb
  tests/install/bare_system.sh build/package/sumi_*.deb
}

# The programs that people use against the server, and the page in a browser. Screenshots go to build/clients/shots.
test_clients() {
  command -v npm >/dev/null || die "test-clients: needs Node.js 20 or later with npm"
  [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || die "test-clients: needs Node.js 20 or later, not $(node --version)"
  deps program
  deps clients
  build release sumi
  mkdir -p build/clients
  cp tests/clients/* build/clients/
  (cd build/clients && npm install --no-audit --no-fund --loglevel=error)
  (cd build/clients && SUMI_BINARY=$PWD/../release/sumi SUMI_CHROMIUM=$(command -v chromium) \
    node --test --test-concurrency=1 "${@:-.}")
  node --test src/app/web/tests/
}

command=${1:-help}
[ $# -gt 0 ] && shift
case $command in
  deps) deps "$@" ;;
  build) build "$@" ;;
  test) deps; build release; run_tests build/release ;;
  asan)
    deps
    build asan
    export ASAN_OPTIONS=detect_stack_use_after_return=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
    run_tests build/asan
    ;;
  lint) lint "$@" ;;
  bench) bench "$@" ;;
  package) package ;;
  test-clients) test_clients "$@" ;;
  soak-jobs)
    deps
    for preset in tsan asan; do
      build "$preset" tests_soak
      say "4 threads of ${1:-50} jobs under $preset"
      SUMI_SOAK_JOBS=${1:-50} ASAN_OPTIONS=allocator_may_return_null=1 "build/$preset/tests_soak"
    done
    ;;
  soak-serve)
    deps
    build release sumi
    python3 tools/soak_serve.py build/release/sumi "${1:-10000}"
    ;;
  fuzz)
    deps
    build asan readers_fuzz
    ASAN_OPTIONS=allocator_may_return_null=1 build/asan/readers_fuzz "${1:-10000000}" "${@:2}"
    ;;
  soak)
    deps
    build release
    (cd build/release && ctest --parallel "$jobs" --repeat "until-fail:${1:-20}" --output-on-failure)
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; [ "$command" = help ] ;;
esac
