/*
 * mpi.c - squares by MPI: `poolbench cell` with a baseline more, mpi-pool.
 *
 *	mpi cell --record    a row in, a row out: what a run calls
 *	mpi --version
 *
 * DESIGN. The manager and workers of MPI textbooks (W. Gropp, E. Lusk, A. Skjellum, Using MPI, 3rd ed. (2014), section
 * 3.6): rank 0 sends a chunk of arguments to each worker and the next one to whoever answers; it does not
 * compute. Started by hand or by a run, the program starts itself again under mpirun, with a rank more than the row
 * has workers. The chunk 0 is an equal share for each worker, as with MPI_Scatter.
 */
#include "harness/bench.h"
#include "harness/commands.h"
#include "workloads/square.h"

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum tag { TAG_WORK, TAG_RESULT, TAG_QUIT };

/*
 * == Workers ==
 */

static void work(void)
{
	int64_t *x = NULL;
	MPI_Status status;

	for (;;) {
		int count;
		MPI_Probe(0, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
		MPI_Get_count(&status, MPI_INT64_T, &count);
		x = realloc(x, (size_t)(count + 1) * sizeof *x);
		if (x == NULL) {
			MPI_Abort(MPI_COMM_WORLD, EXIT_UNFIT);
			abort();
		}
		MPI_Recv(x, count, MPI_INT64_T, 0, status.MPI_TAG, MPI_COMM_WORLD, &status);
		if (status.MPI_TAG == TAG_QUIT)
			break;
		for (int i = 0; i < count; i++)
			x[i] = square_kernel(x[i]);
		MPI_Send(x, count, MPI_INT64_T, 0, TAG_RESULT, MPI_COMM_WORLD);
	}
	free(x);
}

/*
 * == The manager ==
 */

struct flight {
	uint64_t at;
	int count;
};

/* Sends worker `rank` the chunk that begins at `at`, if there is one; how many items it has. */
static int send_chunk(const struct bench *b, int rank, uint64_t at, struct flight *flight)
{
	const int64_t *x = b->column[0].data;
	uint64_t chunk = b->cell->chunk ? (uint64_t)b->cell->chunk
					: b->work.tasks / (uint64_t)b->cell->workers + 1;
	uint64_t left = b->work.tasks - at, count = left < chunk ? left : chunk;

	*flight = (struct flight){ at, (int)count };
	if (count > 0)
		MPI_Send(x + at, (int)count, MPI_INT64_T, rank, TAG_WORK, MPI_COMM_WORLD);
	return (int)count;
}

static int call_pool(struct bench *b, void *results)
{
	struct flight flight[POOL_WORKERS_MAX];
	uint64_t next = 0, done = 0;
	MPI_Status status;

	for (int rank = 1; rank <= b->cell->workers; rank++)
		next += (uint64_t)send_chunk(b, rank, next, &flight[rank - 1]);
	while (done < b->work.tasks) {
		MPI_Probe(MPI_ANY_SOURCE, TAG_RESULT, MPI_COMM_WORLD, &status);
		const int rank = status.MPI_SOURCE;
		const struct flight back = flight[rank - 1];
		MPI_Recv((int64_t *)results + back.at, back.count, MPI_INT64_T, rank, TAG_RESULT,
			 MPI_COMM_WORLD, &status);
		done += (uint64_t)back.count;
		next += (uint64_t)send_chunk(b, rank, next, &flight[rank - 1]);
	}
	return 0;
}

static int start_pool(struct bench *b)
{
	int ranks;

	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (strcmp(b->work.load->name, "square") != 0 || ranks != b->cell->workers + 1) {
		snprintf(b->why, sizeof b->why,
			 "the only workload is square, by as many ranks as workers and one");
		return -EINVAL;
	}
	b->call = call_pool;
	return 0;
}

static int manage(int argc, char **argv)
{
	static struct baseline pool = { .name = "mpi-pool", .start = start_pool };
	int ranks, status;

	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	baseline_add(&pool);
	status = baseline_main(argc, argv, "");
	for (int rank = 1; rank < ranks; rank++)
		MPI_Send(NULL, 0, MPI_INT64_T, rank, TAG_QUIT, MPI_COMM_WORLD);
	return status;
}

/*
 * == Starting under mpirun ==
 */

static int print_version(void)
{
	char version[MPI_MAX_LIBRARY_VERSION_STRING];
	int length;

	MPI_Get_library_version(version, &length);
	version[strcspn(version, ",\n")] = '\0';
	puts(version);
	return access("/usr/bin/mpirun", X_OK) == 0 || system("command -v mpirun >/dev/null") == 0
		       ? EXIT_FINE
		       : EXIT_UNFIT;
}

/* The row goes on as the manager's standard input. Does not return unless something fails. */
static int launch(int argc, char **argv)
{
	char *line = NULL, why[256], exe[4096], ranks[16];
	size_t room = 0;
	ssize_t size = getline(&line, &room, stdin);
	struct record record;
	int fd = memfd_create("row", 0);

	if (size <= 0 || record_parse(&record, line, why, sizeof why) < 0 || fd < 0 ||
	    write(fd, line, (size_t)size) != size || lseek(fd, 0, SEEK_SET) < 0 ||
	    dup2(fd, STDIN_FILENO) < 0) {
		fprintf(stderr, "mpi: no row on standard input\n");
		return EXIT_USAGE;
	}
	size = readlink("/proc/self/exe", exe, sizeof exe - 1);
	exe[size < 0 ? 0 : size] = '\0';
	snprintf(ranks, sizeof ranks, "%d", record.cell.workers + 1);
	const char *run[16] = { "mpirun", "--oversubscribe", "-n", ranks, exe };
	for (int i = 1; i < argc && i < 10; i++)
		run[4 + i] = argv[i];
	if (geteuid() == 0) {
		setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
		setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	}
	execvp(run[0], (char *const *)run);
	fprintf(stderr, "mpi: mpirun: %s\n", strerror(errno));
	return EXIT_UNFIT;
}

int main(int argc, char **argv)
{
	int rank, status = EXIT_FINE;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return print_version();
	if (argc < 3 || strcmp(argv[1], "cell") != 0 || strcmp(argv[2], "--record") != 0) {
		fprintf(stderr, "usage: mpi cell --record | --version\n");
		return EXIT_USAGE;
	}
	if (getenv("OMPI_COMM_WORLD_RANK") == NULL && getenv("PMI_RANK") == NULL)
		return launch(argc, argv);
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (rank == 0)
		status = manage(argc, argv);
	else
		work();
	MPI_Finalize();
	return status;
}
