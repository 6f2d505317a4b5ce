# Checks of the sources.  Each check prints FILE:LINE: what and why, and nothing when all is well.

# Headers must compile alone, in the release variant.
OTHER_KVM := $(foreach a,$(filter-out $(ARCH),x86 arm64),src/accel/kvm/$(a)/%)
HEADERS := $(filter-out $(OTHER_KVM),$(sort $(shell find src -name '*.h')))
HEADER_OKS := $(HEADERS:%.h=$(O)/lint/%.h.ok)
TIDY_OKS := $(SRCS:%.c=$(O)/tidy/%.c.ok)
LINTS := lint-layers lint-text lint-functions lint-headers lint-symbols lint-shell lint-man \
	lint-cppcheck

.PHONY: lint tidy format $(LINTS)
## lint          layers, text, sizes, headers, symbols, scripts, manual page, cppcheck
lint:
	@tools/install-deps ci
	$(SUBMAKE) -k $(LINTS)
## tidy          clang-tidy, with the reasons in .clang-tidy
tidy: $(TIDY_OKS)

## format        clang-format over all C files
format:
	$(Q)tools/check-text --list | grep '\.[ch]$$' | xargs clang-format -i

lint-layers:
	@echo "  LINT  layers"
	$(Q)tools/check-layers

lint-text:
	@echo "  LINT  text"
	$(Q)tools/check-text

lint-functions:
	@echo "  LINT  functions"
	$(Q)tools/check-functions

lint-headers: $(HEADER_OKS)
	@echo "  LINT  headers"
$(O)/lint/%.h.ok: %.h | $(O)/.libs
	@mkdir -p $(@D)
	$(Q)printf '#include "%s"\nextern int lint;\n' $(<:src/%=%) | \
		$(CC) $(CPPFLAGS) $(CFLAGS_BASE) -Wno-unused-function -MMD -MP -MF $(@:.ok=.d) \
		-MT $@ -x c -fsyntax-only - || { echo "$<:1: does not compile alone" >&2; exit 1; }
	@touch $@

lint-symbols: $(LIB_OBJS)
	@echo "  LINT  symbols"
	$(Q)tools/check-symbols $(O)

# Scripts are known by their first line.
lint-shell:
	@echo "  LINT  shell"
	$(Q)tools/check-text --list | while read -r f; do \
		! head -c 64 "$$f" | head -n 1 | grep -qE '^#! ?/bin/(ba|da)?sh' || echo "$$f"; \
	done | xargs shellcheck -x

lint-man:
	@echo "  LINT  manual page"
	$(Q)mandoc -T lint -W warning docs/lodge.1

lint-cppcheck:
	@echo "  LINT  cppcheck"
	@mkdir -p build/cppcheck
	$(Q)cppcheck --quiet -j2 --cppcheck-build-dir=build/cppcheck --error-exitcode=1 \
		--enable=warning,style,performance,portability --inline-suppr --std=c11 \
		--suppressions-list=tools/cppcheck.suppress -D_GNU_SOURCE -D__x86_64__ -Isrc \
		--template='{file}:{line}: {message} [cppcheck {id}]' src

$(O)/tidy/%.c.ok: %.c .clang-tidy | $(O)/.libs
	@mkdir -p $(@D)
	@echo "  TIDY  $<"
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) -std=c17 >$(@:.ok=.log) 2>&1 || \
		{ cat $(@:.ok=.log); exit 1; }
	$(Q)$(CC) $(CPPFLAGS) -std=c17 -MM -MP -MF $(@:.ok=.d) -MT $@ $<
	@touch $@

-include $(HEADER_OKS:.ok=.d) $(TIDY_OKS:.ok=.d)
