# poolbench: `make` builds, `make test` proves, `make bench` measures. `make help` lists the rest.
#
# Everything built is under .build/<variant>; V=1 shows the commands; WERROR=1 makes warnings errors.

VARIANT ?= release
V       ?=
B       := .build/$(VARIANT)
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

CC      ?= cc
OBJCOPY ?= objcopy
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local

flags_release :=
flags_asan    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
flags_tsan    := -fsanitize=thread -fno-omit-frame-pointer
# no-plt: calls into shared libraries are bound when a program starts. Otherwise each forked worker binds them again, and
# copies the pages that hold the addresses: seven of its page faults.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -pthread -fno-plt -MMD -MP $(CFLAGS) $(flags_$(VARIANT)) \
	-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion \
	$(if $(WERROR),-Werror)
ALL_LDFLAGS := -pthread $(LDFLAGS) $(flags_$(VARIANT))
LIBS_BENCH  := -ljansson -lnettle -lm
LIBS_TEST   := -lcmocka $(LIBS_BENCH)

lib_src   := $(wildcard pools/*.c)
work_src  := $(wildcard workloads/*.c)
bench_src := $(filter-out harness/main.c,$(wildcard harness/*.c)) $(wildcard harness/experiments/*.c)
chaos_src := $(filter-out scripts/chaos/main.c,$(wildcard scripts/chaos/*.c))
test_src  := $(wildcard pools/tests/test_*.c workloads/tests/test_*.c harness/tests/test_*.c)
fuzz_src  := $(filter-out %/fuzz_main.c,$(wildcard pools/tests/fuzz_*.c))
example_src := $(wildcard pools/examples/*.c)

objects = $(patsubst %.c,$(B)/%.o,$(1))
lib     := $(B)/libprocpool.a
bench   := $(B)/poolbench
chaos   := $(B)/chaos
faults  := $(addprefix $(B)/fault/,poolbench spin10)
tests   := $(patsubst %.c,$(B)/%,$(test_src))
# Twice: executed workers must find their tasks in position-dependent programs, too.
examples := $(patsubst pools/examples/%.c,$(B)/examples/%,$(example_src)) \
	$(patsubst pools/examples/%.c,$(B)/examples/%-nopie,$(example_src))

# What poolbench runs beside the pools: programs that are arms of a round; and those of scripts/peers/whole and killed.
arms := $(addprefix $(B)/scripts/peers/,limits lazy openmp mpi)
peers := $(arms) $(addprefix $(B)/scripts/peers/,pool_sha256 killed_map)

.PHONY: all lib test fuzz bench compare plots peers selftest chaos check install install-lib clean help test-programs
.SECONDARY:
.DELETE_ON_ERROR:
all: deps-quiet $(bench) $(examples) $(peers)
lib: $(lib)

# The library alone needs a compiler and nothing else.
deps := $(if $(filter-out lib install-lib clean help,$(or $(MAKECMDGOALS),all)),deps-quiet)
.PHONY: deps-quiet
deps-quiet:
	$(Q)scripts/deps

$(B)/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
.PHONY: FORCE
FORCE:

$(B)/%.o: %.c $(B)/flags | $(deps)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(lib): $(call objects,$(lib_src))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(bench): $(call objects,harness/main.c $(bench_src) $(work_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_BENCH)

# What `poolbench selftest` is to find: see harness/fault/fault.c. The same objects, two of their calls led through the
# faults; `spin10` has one built in: 10 % more steps in each task of spin.
$(B)/fault/%.o: $(B)/harness/%.o
	$(call say,COPY,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym workload_find=fault_workload_find --redefine-sym pool_map=fault_pool_map $< $@
$(B)/fault/fault-spin10.o: harness/fault/fault.c $(B)/flags
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DFAULT_BUILT_IN='"steps:10"' -c -o $@ $<

fault_objects := $(filter-out $(B)/harness/cell.o $(B)/harness/variant.o,$(call objects,harness/main.c $(bench_src) \
	$(work_src))) $(B)/fault/cell.o $(B)/fault/variant.o
$(B)/fault/poolbench: $(B)/harness/fault/fault.o
$(B)/fault/spin10: $(B)/fault/fault-spin10.o
$(faults): $(fault_objects) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_BENCH)

$(chaos): $(call objects,scripts/chaos/main.c $(chaos_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(B)/examples/%: $(B)/pools/examples/%.o $(lib)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(B)/examples/%-nopie: $(B)/pools/examples/%.o $(lib)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -no-pie -o $@ $^

$(B)/%: $(B)/%.o $(call objects,$(bench_src) $(work_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter-out $(B)/flags,$^) $(LIBS_TEST)

$(filter $(B)/pools/tests/%,$(tests)): $(call objects,$(wildcard pools/tests/suite*.c))
$(B)/pools/tests/test_corpus: $(call objects,$(fuzz_src))

# The library with its calls to the system replaced: see pools/tests/inject.h.
injected := $(B)/pools/tests/libinjected.a
$(injected): $(lib) pools/tests/inject.syms
	$(call say,COPY,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-syms=pools/tests/inject.syms $< $@

$(B)/pools/tests/test_injection: $(call objects,$(addprefix pools/tests/,test_injection.c inject.c \
		scenarios.c scenarios_stop.c suite.c suite_tasks.c)) $(injected)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka
$(B)/pools/tests/test_chaos: $(call objects,$(chaos_src))

$(B)/scripts/peers/limits: $(B)/scripts/peers/limits_start.o $(B)/scripts/peers/limits_list.o

# A command that is timed as a whole loads no library that it does not use.
$(B)/scripts/peers/pool_sha256: $(call objects,scripts/peers/pool_sha256.c $(work_src)) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lnettle -lm

# A compiler without OpenMP leaves that peer out.
$(B)/scripts/peers/openmp: scripts/peers/openmp.c $(call objects,$(bench_src) $(work_src)) $(lib) $(B)/flags
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)if ! echo 'int main(void) { return 0; }' | $(CC) -fopenmp -o $@.probe -x c - 2>/dev/null; then \
		echo 'left out: OpenMP, which $(CC) does not have (Debian: gcc; for clang libomp-dev)'; else \
		rm -f $@.probe; $(CC) $(ALL_CFLAGS) -fopenmp -MF $@.d -MT $@ $(ALL_LDFLAGS) -o $@ \
			$(filter-out %.h $(B)/flags,$^) $(LIBS_BENCH); fi

# Likewise without MPI.
$(B)/scripts/peers/mpi: scripts/peers/mpi.c $(call objects,$(bench_src) $(work_src)) $(lib) $(B)/flags
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)if ! command -v mpicc >/dev/null; then echo 'left out: MPI (Debian: libopenmpi-dev openmpi-bin)'; else \
		OMPI_CC='$(CC)' mpicc $(ALL_CFLAGS) -MF $@.d -MT $@ $(ALL_LDFLAGS) -o $@ \
			$(filter-out %.h $(B)/flags,$^) $(LIBS_BENCH); fi

test-programs: deps-quiet $(tests) $(bench) $(faults) $(examples) $(peers) $(chaos)

# Each program runs its cases in children with deadlines; one failure does not keep the others from running.
test: test-programs
	$(Q)scripts/run-tests $(tests)

# libFuzzer and sanitizers on the targets of pools/tests/fuzz.h, each for SECONDS (60) or for RUNS executions. What it finds
# new is kept under .build/fuzz; a finding is .build/fuzz/<target>-crash-..., and belongs into pools/tests/corpus/<target>.
# A quarantine larger than what one execution frees would only make it slower, by half.
FUZZ_TARGETS := reply outbox inbox
FUZZ_CC ?= clang
SECONDS ?=
RUNS    ?=
fuzz: deps-quiet $(FUZZ_TARGETS:%=fuzz-%)
fuzz-%: .build/fuzz/%
	$(Q)mkdir -p .build/fuzz/found/$*
	$(Q)ASAN_OPTIONS=quarantine_size_mb=1 \
		.build/fuzz/$* $(if $(RUNS),-runs=$(RUNS),-max_total_time=$(or $(SECONDS),60)) -max_len=96 -close_fd_mask=2 \
		-artifact_prefix=.build/fuzz/$*- .build/fuzz/found/$* pools/tests/corpus/$* >.build/fuzz/$*.log 2>&1 || \
		{ tail -n 30 .build/fuzz/$*.log; exit 1; }
	$(Q)printf '%s: ' $* && tail -n 1 .build/fuzz/$*.log
.PRECIOUS: .build/fuzz/%
.build/fuzz/%: $(lib_src) $(fuzz_src) pools/tests/fuzz_main.c $(wildcard pools/*.h) pools/tests/fuzz.h
	$(call say,FUZZ,$*)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -std=c11 -D_GNU_SOURCE -I. -pthread -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -DFUZZ_TARGET=fuzz_$* -o $@ $(filter %.c,$^)

# QUICK=1: about a minute. OUT=DIR: where the run goes.
ifndef OUT
OUT   := results/run-$(shell date +%Y%m%d-%H%M%S)
endif
QUICK ?=
# A cell or a command that failed (status 1) does not keep the rest from its report; its status comes at the end. An interrupt is
# answered by the program that runs.
measure = trap : INT; failed=0; \
	part() { "$$@" || { failed=$$?; [ $$failed -eq 1 ] || exit $$failed; }; }; \
	part $(bench) run $(1) --out "$(OUT)"; \
	part scripts/peers/whole "$(OUT)" $(if $(QUICK),--quick); \
	$(bench) plot "$(OUT)" && $(bench) report "$(OUT)" || exit; \
	printf '\nReport: %s\n$(2): %s\nRows: %s\n' "$(OUT)/report.html" "$(OUT)/$(3)" "$(OUT)/rows.jsonl"; \
	exit $$failed

bench: all
	$(Q)$(call measure,$(if $(QUICK),--quick),Figures,plots)

compare: all
	$(Q)test -n "$(BASE)" -a -n "$(NEW)" || { echo "usage: make compare BASE=RUN NEW=RUN" >&2; exit 2; }
	$(Q)$(bench) compare "$(BASE)" "$(NEW)"

plots: all
	$(Q)test -n "$(RUN)" || { echo "usage: make plots RUN=DIRECTORY" >&2; exit 2; }
	$(Q)$(bench) plot "$(RUN)"

# The bars: pools and peers in the same rounds, then whole commands. ROUNDS=N: 12 take about half an hour.
ROUNDS ?= 12
peers: all
	$(Q)$(call measure,peers $(if $(QUICK),--quick,--full --rounds $(ROUNDS)),Bars,bars.md)

# Does the suite find what is wrong, and nothing else? Twenty minutes on a quiet machine; QUICK=1: three minutes.
selftest: all $(faults)
	$(Q)$(bench) selftest $(if $(QUICK),--short) $(if $(SEED),--seed $(SEED)) -o "$(OUT)"

# Random use while workers are killed; ROW: one row (all, when none is named), SECONDS: for each row (10).
SEED    ?=
chaos: $(chaos)
	$(Q)$(chaos) --seconds $(or $(SECONDS),10) $(if $(SEED),--seed $(SEED)) $(ROW)

check:
	$(Q)scripts/check

install-lib: $(lib)
	install -d $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include/pools
	install -m 644 $(lib) $(DESTDIR)$(PREFIX)/lib/libprocpool.a
	install -m 644 pools/pool.h $(DESTDIR)$(PREFIX)/include/pools/pool.h

install: all install-lib
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/poolbench/peers
	install -m 755 $(bench) $(DESTDIR)$(PREFIX)/bin/poolbench
	for arm in $(arms) scripts/peers/*_square.*; do \
		[ ! -f $$arm ] || install -m 755 $$arm $(DESTDIR)$(PREFIX)/share/poolbench/peers || exit; done
	cp -R scripts/plots $(DESTDIR)$(PREFIX)/share/poolbench/

clean:
	$(Q)rm -rf .build

help:
	@echo 'make            build the library, poolbench and the examples'
	@echo 'make test       run all tests'
	@echo 'make bench      run the default plan, time whole commands, report (4 to 7 minutes); QUICK=1: one minute'
	@echo 'make compare BASE=RUN NEW=RUN   compare two runs'
	@echo 'make plots RUN=RUN              draw the figures of a run again'
	@echo 'make peers      our pools beside OpenMP, CPython and raw system calls, and the bars (half an hour; QUICK=1: a minute)'
	@echo 'make selftest   faults that the suite must find, and comparisons in which there is nothing to find (20 minutes; QUICK=1)'
	@echo 'make fuzz       fuzz the parsers of what processes tell each other; SECONDS=60 or RUNS=n'
	@echo 'make chaos [ROW=ROW] [SECONDS=10] [SEED=N]   random use while workers are killed'
	@echo 'make check      format, static analysis, sanitizers'
	@echo 'make lib        the library alone; needs a compiler only'
	@echo 'make install PREFIX=/usr/local       library, header and poolbench; make install-lib: without poolbench'
	@echo 'make clean      remove .build'
	@echo 'VARIANT=release|asan|tsan, V=1 (show commands), WERROR=1'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
