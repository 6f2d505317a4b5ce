# Tests.  Unit tests are programs tests/unit/NAME.c with cmocka, linked with the whole library.

UNIT_SRCS := $(sort $(wildcard tests/unit/*.c))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(O)/tests/unit/%)

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(LIB)
	@echo "  LINK  $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIB) -lcmocka $(LDLIBS)

.PHONY: unit unit-build
unit-build: $(UNIT_BINS)
unit: unit-build
	$(Q)for t in $(UNIT_BINS); do echo "  TEST  $$t"; $(RUN_CROSS) $$t || exit 1; done

.SECONDARY:
-include $(UNIT_SRCS:%.c=$(O)/%.d)
