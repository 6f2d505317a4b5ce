# Tests: what is built for them, and the targets that run them.  How they are run and counted is the
# matter of tests/run.

# Unit tests: a program of cmocka tests for each tests/unit/NAME.c, linked with the whole library.
# Tests of KVM run guests of the host's architecture: kvm_arm64_*.c there, other kvm_*.c on x86.
# The software CPU (bt_*.c) is on x86 hosts only.
UNIT_KVM_ARM64 := $(wildcard tests/unit/kvm_arm64_*.c)
UNIT_KVM_X86 := $(filter-out $(UNIT_KVM_ARM64),$(wildcard tests/unit/kvm_*.c))
UNIT_X86 := $(UNIT_KVM_X86) $(wildcard tests/unit/bt_*.c)
UNIT_SRCS := $(sort $(filter-out $(if $(filter arm64,$(ARCH)),$(UNIT_X86),$(UNIT_KVM_ARM64)),\
	$(wildcard tests/unit/*.c)))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(O)/tests/unit/%)

# Instructions out of the table.
$(O)/tests/unit/bt_hostile $(O)/tests/unit/bt_kvm: $(O)/tests/insn/gen.o
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) -lcmocka $(TEST_LDLIBS)

# The program that plays device scripts; tests/device/run runs it.
DEVICE_SCRIPTS := $(O)/tests/device/scripts

$(DEVICE_SCRIPTS): $(O)/tests/device/scripts.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(TEST_LDLIBS)

# Programs that make what a golden is compared with: tests/golden/FOLDER/NAME.c.
GOLDEN_SRCS := $(sort $(wildcard tests/golden/*/*.c))
GOLDEN_BINS := $(GOLDEN_SRCS:tests/golden/%.c=$(O)/tests/golden/%)

$(O)/tests/golden/%: $(O)/tests/golden/%.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(TEST_LDLIBS)

# The programs that load kernels into a VM without a CPU; tests/boot/run and tests/boot/arm64/run
# run them.
BOOT_PLACE := $(O)/tests/boot/place $(O)/tests/boot/arm64/place

$(BOOT_PLACE): %: %.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(TEST_LDLIBS)

# The comparison of instructions with the host's CPU: x86 hosts only.
INSN_SRCS := $(if $(filter x86,$(ARCH)),$(sort $(wildcard tests/insn/*.c)))
INSN_DIFF := $(if $(INSN_SRCS),$(O)/tests/insn/diff)
INSN_DIFF_OBJS := $(addprefix $(O)/tests/insn/,diff.o gen.o native.o rig.o)

$(O)/tests/insn/diff: $(INSN_DIFF_OBJS) $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(INSN_DIFF_OBJS) $(LIB) $(LDLIBS)

# The comparison of the decoder with Zydis, where that library is.
INSN_ZYDIS := $(if $(INSN_SRCS),$(O)/tests/insn/zydis)
HAVE_ZYDIS := $(if $(CROSS),,$(wildcard /usr/include/Zydis/Zydis.h))

$(O)/tests/insn/zydis.o: CPPFLAGS += $(if $(HAVE_ZYDIS),-DHAVE_ZYDIS)
$(O)/tests/insn/zydis: $(O)/tests/insn/zydis.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) \
		$(if $(HAVE_ZYDIS),-lZydis) $(TEST_LDLIBS)

# Fuzz targets: tests/fuzz/NAME.c has LLVMFuzzerTestOneInput.  In the fuzz build libFuzzer drives
# it; in every other one a small main runs it over files.
# Those of the software CPU (bt_*.c) are on x86 hosts only.
FUZZ_SRCS := $(sort $(filter-out $(if $(filter arm64,$(ARCH)),tests/fuzz/bt_%.c),\
	$(wildcard tests/fuzz/*.c)))
FUZZ_BINS := $(FUZZ_SRCS:tests/fuzz/%.c=$(O)/tests/fuzz/%)
FUZZ_MAIN := $(if $(filter fuzz,$(BUILD)),,$(O)/tests/fuzz/main/replay.o)
FUZZ_LINK := $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer)

$(O)/tests/fuzz/bt_system: $(O)/tests/insn/gen.o
$(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(FUZZ_MAIN) $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(FUZZ_LINK) -o $@ $(filter %.o,$^) $(LIB) \
		$(TEST_LDLIBS)

# Whoever calls make without -j gets all processors for the builds below.
SUBMAKE = +$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) \
	WERROR=1
V_TEST := $(if $(filter 1,$(V)),-v)
FUZZ_DIR := build/$(HOST_ARCH)-fuzz-clang
OTHER_ARCH := $(if $(filter x86,$(HOST_ARCH)),arm64,x86)

.PHONY: unit unit-build fuzz-build check check-all check-build check-all-build fuzz fuzz-smoke
unit-build: $(UNIT_BINS) $(DEVICE_SCRIPTS) $(GOLDEN_BINS) $(BOOT_PLACE) $(INSN_DIFF) \
	$(INSN_ZYDIS) $(if $(CROSS),$(O)/run)
	@: # says nothing when all is there
fuzz-build: $(FUZZ_BINS)
	@:

## unit          the unit tests of this BUILD, CC and ARCH, with cmocka's own output
unit: unit-build
	$(Q)for t in $(UNIT_BINS); do \
		echo "  TEST  $$t"; $(if $(CROSS),$(O)/run) $$t || exit 1; \
	done

check-build:
	$(SUBMAKE) BUILD=release CC=gcc all unit-build
	$(SUBMAKE) BUILD=asan CC=gcc all unit-build fuzz-build

## check         release and asan builds and their tests; V=1 prints each test
check:
	@tools/install-deps check
	$(SUBMAKE) check-build
	$(Q)tests/run $(V_TEST) check

check-all-build: check-build
	$(SUBMAKE) BUILD=debug CC=clang all unit-build
	$(SUBMAKE) BUILD=tsan CC=gcc all unit-build
	$(SUBMAKE) ARCH=$(OTHER_ARCH) BUILD=release all unit-build
	$(SUBMAKE) BUILD=fuzz fuzz-build

## check-all     check, clang, tsan, the other architecture, fuzz smoke, nested test beds
check-all:
	@tools/install-deps ci
	$(SUBMAKE) check-all-build
	$(Q)tests/run $(V_TEST) all

## nightly       what takes hours: 100 boots in a row and guests that work, by the CPU in software
.PHONY: nightly
nightly:
	@tools/install-deps ci
	$(SUBMAKE) check-build
	$(Q)tests/run $(V_TEST) nightly

## fuzz          fuzz target T=NAME until it is stopped, or RUNS=N times
fuzz:
	@test -f tests/fuzz/$(T).c || { echo "make: T=$(T): must be one of" \
		$(patsubst tests/fuzz/%.c,%,$(FUZZ_SRCS)) >&2; exit 1; }
	$(SUBMAKE) BUILD=fuzz $(FUZZ_DIR)/tests/fuzz/$(T)
	$(Q)LODGE_BUILD=$(FUZZ_DIR) tests/fuzz/run fuzz $(T) $(RUNS)

## fuzz-smoke    every fuzz target a fixed number of times
fuzz-smoke:
	$(SUBMAKE) BUILD=fuzz fuzz-build
	$(Q)tests/run $(V_TEST) fuzz

## golden        rewrites the expected messages of tests/golden; look at the diff
.PHONY: golden
golden: $(O)/lodge
	$(Q)LODGE=$(O)/lodge tests/golden/run --write

.SECONDARY:
-include $(O)/tests/device/scripts.d $(BOOT_PLACE:%=%.d)
-include $(patsubst %.c,$(O)/%.d,$(UNIT_SRCS) $(GOLDEN_SRCS) $(FUZZ_SRCS) $(INSN_SRCS))
