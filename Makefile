# Lodge.  `make` builds build/lodge; `make help` lists the rest.
#
#   BUILD=release|debug|asan|tsan|fuzz   variant; objects live in build/ARCH-BUILD[-clang]
#   CC=gcc|clang                         compiler (fuzz is always clang)
#   ARCH=x86|arm64                       host to build for; the other one is cross-compiled
#   WERROR=1                             warnings are errors (make check and CI set it)
#   V=1                                  show commands

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

comma := ,
BUILD ?= release
WERROR ?= 0
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

HOST_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
ARCH ?= $(HOST_ARCH)
CROSS := $(if $(filter $(ARCH),$(HOST_ARCH)),,1)

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(BUILD),fuzz)
override CC := clang
endif
CC_NAME := $(if $(findstring clang,$(CC)),clang,gcc)

# A cross build takes its compiler from the Debian package and its libraries from a private sysroot
# that tools/cross-sysroot fills; nothing on the machine is changed.
ifeq ($(CROSS),1)
TRIPLE := $(if $(filter arm64,$(ARCH)),aarch64-linux-gnu,x86_64-linux-gnu)
override CC := $(TRIPLE)-gcc
SYSROOT := build/sysroot-$(ARCH)
CROSS_CPPFLAGS := -isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(TRIPLE)
CROSS_LDFLAGS := -L$(SYSROOT)/usr/lib/$(TRIPLE) -Wl,-rpath-link,$(SYSROOT)/usr/lib/$(TRIPLE) \
	-Wl,-rpath-link,$(SYSROOT)/lib/$(TRIPLE)
# How to run what was built: through qemu-user, with the sysroot's libraries.
EMULATOR := $(if $(filter arm64,$(ARCH)),qemu-aarch64-static,qemu-x86_64-static)
EMULATED_LIBS := $(abspath $(SYSROOT))/usr/lib/$(TRIPLE):$(abspath $(SYSROOT))/lib/$(TRIPLE)
endif

O := build/$(ARCH)-$(BUILD)$(if $(filter clang,$(CC_NAME)),-clang)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough -Wvla -Wundef -Wwrite-strings -Wformat=2 -Wpointer-arith \
	-Wcast-qual -Wno-missing-field-initializers
WARN += $(if $(filter 1,$(WERROR)),-Werror)
VERSION := $(shell cat VERSION)
CPPFLAGS += -D_GNU_SOURCE -Isrc -I$(O)/gen -DLODGE_VERSION='"$(VERSION)"' $(CROSS_CPPFLAGS)
CFLAGS_BASE := -std=c17 -g $(WARN) -fno-strict-aliasing -fno-common -pthread -fPIE \
	-fstack-protector-strong
LDFLAGS_BASE := -pthread -pie -Wl,-z,relro,-z,now $(CROSS_LDFLAGS)
# Each shared library costs a start 50 µs or more.  The small two become part of the binary where
# there is a static library; the decompressors' are loaded when a kernel needs one
# (src/boot/unpack_lib.h), and only tests, which compress, are linked with them.
STATIC_DIR = $(if $(CROSS),$(SYSROOT)/usr/lib/$(TRIPLE)/,\
	$(dir $(shell $(CC) -print-file-name=lib$(1).a)))
LIBRARY = $(if $(wildcard $(STATIC_DIR)lib$(1).a),-l:lib$(1).a,-l$(1))
LDLIBS = $(call LIBRARY,jansson) $(call LIBRARY,fdt)
TEST_LDLIBS = $(LDLIBS) -Wl,--as-needed -lz -lbz2 -llzma -llzo2 -llz4 -lzstd

ifeq ($(BUILD),release)
# Debuggers unwind by .debug_frame; the tables of instructions and meanings are full of pointers.
CFLAGS_BASE += -O2 -D_FORTIFY_SOURCE=2 -fno-asynchronous-unwind-tables
LDFLAGS_BASE += $(if $(filter x86,$(ARCH)),-Wl$(comma)-z$(comma)pack-relative-relocs)
else ifeq ($(BUILD),debug)
CFLAGS_BASE += -Og -DFAULT_INJECTION=1 -DLODGE_DEBUG=1
else ifeq ($(BUILD),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_BASE += -O1 $(SAN) -DFAULT_INJECTION=1 -DLODGE_DEBUG=1
LDFLAGS_BASE += $(SAN)
else ifeq ($(BUILD),tsan)
SAN := -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_BASE += -O1 $(SAN) -DLODGE_DEBUG=1
LDFLAGS_BASE += $(SAN)
else ifeq ($(BUILD),fuzz)
SAN := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_BASE += -O1 $(SAN) -fno-omit-frame-pointer -DLODGE_DEBUG=1
LDFLAGS_BASE += $(SAN)
else
$(error BUILD is release, debug, asan, tsan or fuzz, not "$(BUILD)")
endif

ALL_CFLAGS = $(CFLAGS_BASE) $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_BASE) $(LDFLAGS)

# Sources are found by folder: a new file is built without being listed.  Folders named after an
# architecture below accel/ talk to the host CPU and are built only there.
SRCS := $(sort $(shell find src -name '*.c'))
SRCS := $(filter-out $(foreach a,$(filter-out $(ARCH),x86 arm64),src/accel/kvm/$(a)/%),$(SRCS))
# The software CPU is for x86 hosts; elsewhere one file says so.
SRCS := $(if $(filter x86,$(ARCH)),$(filter-out src/accel/bt/arm64/%,$(SRCS)),$(filter-out \
	$(filter-out src/accel/bt/arm64/%,$(filter src/accel/bt/%,$(SRCS))),$(SRCS)))
OBJS := $(SRCS:%.c=$(O)/%.o)
LIB_OBJS := $(filter-out $(O)/src/cli/main.o,$(OBJS))
LIB := $(O)/liblodge.a

.PHONY: all help clean
## all           build/lodge
## clean         removes build/
all: $(O)/lodge
	@: # says nothing when all is there
ifeq ($(CROSS)$(BUILD),release)
all: build/lodge
build/lodge: $(O)/lodge
	$(Q)ln -sfn ../$(O)/lodge $(O)/.link && mv -T $(O)/.link $@
	@touch -h $@
endif

$(LIB): $(LIB_OBJS)
	$(Q)rm -f $@
	$(Q)$(if $(CROSS),$(TRIPLE)-)ar rcs $@ $^

$(O)/lodge: $(O)/src/cli/main.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/%.o: %.c | $(O)/.libs
	$(Q)mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Before the first compilation: is there what it needs?
LIB_HEADERS := jansson.h libfdt.h zlib.h bzlib.h lzma.h lzo/lzo1x.h lz4.h zstd.h linux/kvm.h
$(O)/.libs: $(if $(CROSS),$(SYSROOT)/.done)
	@mkdir -p $(@D)
	@if ! printf '#include <%s>\n' $(LIB_HEADERS) | \
	    $(CC) $(CPPFLAGS) -x c -fsyntax-only - >$@.log 2>&1; then \
		echo "make: not all that Lodge is built with is here:" >&2; \
		{ tools/install-deps --list build; grep -h error: $@.log; } >&2; \
		echo "hint: tools/install-deps installs it" >&2; exit 1; \
	fi
	@touch $@

ifeq ($(CROSS),1)
$(SYSROOT)/.done: tools/cross-sysroot
	$(Q)tools/cross-sysroot $(ARCH) $(SYSROOT)

# tests/run and make unit start programs of this build through it.
$(O)/run: Makefile
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec %s -L /usr/%s -E LD_LIBRARY_PATH=%s "$$@"\n' \
		$(EMULATOR) $(TRIPLE) $(EMULATED_LIBS) >$@
	@chmod +x $@
endif

include tests/tests.mk
include tools/lint.mk

# The tables of src/cli are the source; tests/golden fails when docs/ is behind them.
## docs          docs/lodge.1 and the completions of bash and zsh, out of the option tables
.PHONY: docs
docs: $(O)/lodge
	$(Q)$(O)/lodge gen man >docs/lodge.1
	$(Q)$(O)/lodge gen bash >docs/lodge.bash
	$(Q)$(O)/lodge gen zsh >docs/_lodge

## demo          Debian to a prompt, under KVM or the CPU in software; says which and why
.PHONY: demo
demo:
	@tools/install-deps demo
	+$(Q)$(MAKE) --no-print-directory BUILD=release CC=gcc all
	@tools/demo

help:
	@sed -n 's/^# //p; /^$$/q' Makefile
	@echo 'Targets:'
	@sed -n 's/^## //p' Makefile tests/tests.mk tools/lint.mk

clean:
	rm -rf build

-include $(OBJS:.o=.d)
