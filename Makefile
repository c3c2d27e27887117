# poolbench: `make` builds, `make test` proves, `make bench` measures. `make help` lists the rest.
#
# Everything built is under .build/<variant>; V=1 shows the commands; WERROR=1 makes warnings errors.

VARIANT ?= release
V       ?=
B       := .build/$(VARIANT)
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

CC      ?= cc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local

flags_release :=
flags_asan    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
flags_tsan    := -fsanitize=thread -fno-omit-frame-pointer
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -pthread -MMD -MP $(CFLAGS) $(flags_$(VARIANT)) \
	-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion \
	$(if $(WERROR),-Werror)
ALL_LDFLAGS := -pthread $(LDFLAGS) $(flags_$(VARIANT))
LIBS_BENCH  := -ljansson -lnettle -lm
LIBS_TEST   := -lcmocka $(LIBS_BENCH)

lib_src   := $(wildcard pools/*.c)
work_src  := $(wildcard workloads/*.c)
bench_src := $(filter-out harness/main.c,$(wildcard harness/*.c)) $(wildcard harness/experiments/*.c)
test_src  := $(wildcard pools/tests/test_*.c workloads/tests/test_*.c harness/tests/test_*.c)
example_src := $(wildcard pools/examples/*.c)

objects = $(patsubst %.c,$(B)/%.o,$(1))
lib     := $(B)/libprocpool.a
bench   := $(B)/poolbench
tests   := $(patsubst %.c,$(B)/%,$(test_src))
examples := $(patsubst pools/examples/%.c,$(B)/examples/%,$(example_src))

.PHONY: all lib test bench compare plots peers check install clean help deps test-programs
.SECONDARY:
.DELETE_ON_ERROR:
all: deps-quiet $(bench) $(examples)
lib: $(lib)

.PHONY: deps-quiet
deps-quiet:
	$(Q)scripts/deps

$(B)/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
.PHONY: FORCE
FORCE:

$(B)/%.o: %.c $(B)/flags | deps-quiet
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(lib): $(call objects,$(lib_src))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(bench): $(call objects,harness/main.c $(bench_src) $(work_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_BENCH)

$(B)/examples/%: $(B)/pools/examples/%.o $(lib)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(B)/%: $(B)/%.o $(call objects,$(bench_src) $(work_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter-out $(B)/flags,$^) $(LIBS_TEST)

test-programs: $(tests) $(bench) $(examples)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
