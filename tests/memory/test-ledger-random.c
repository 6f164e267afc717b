/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of random records, deaths and settlements, held against a model of a few arrays. Honest and dishonest
 * holders alike: what a record may do depends on the counts alone.
 */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "books.h"

/* The model: what the ledger must say, as plain arrays. */

#define N_BLOCKS 6u
#define N_HOLDERS 4u
#define LOG_N_MAX 4096u

struct model_grant {
	unsigned block;
	const struct seai_block *was; /* the place may be another block by now */
	uint64_t generation;
	enum seai_record_op op;
	bool has_token;
	uint64_t position;
};

struct model {
	struct books books;
	struct seai_block *blocks[N_BLOCKS]; /* NULL: not in use */
	unsigned own[N_BLOCKS];
	unsigned count[N_BLOCKS][N_HOLDERS], tokens[N_BLOCKS][N_HOLDERS], debts[N_BLOCKS][N_HOLDERS];
	uint64_t sequence[N_BLOCKS], n_sent;
	uint32_t holders[N_HOLDERS];
	uint64_t ids[N_HOLDERS], next_id;
	uint64_t positions[N_HOLDERS][N_HOLDERS], published[N_HOLDERS][N_HOLDERS], links[N_HOLDERS][N_HOLDERS];
	struct model_grant logs[N_HOLDERS][N_HOLDERS][LOG_N_MAX];
	unsigned n_log[N_HOLDERS][N_HOLDERS];
	unsigned orphans[LOG_N_MAX], n_orphans;
};

static void model_check(struct model *model)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		unsigned sum = model->own[i];

		if (!model->blocks[i])
			continue;
		for (unsigned h = 0; h < N_HOLDERS; h++)
			sum += model->count[i][h];
		CHECK_EQ(is_used(model->blocks[i]), sum > 0);
		if (sum == 0) {
			model->blocks[i] = NULL;
			memset(model->debts[i], 0, sizeof(model->debts[i]));
			continue;
		}
		CHECK_EQ(model->blocks[i]->n_own, model->own[i]);
		for (unsigned h = 0; h < N_HOLDERS; h++) {
			const struct seai_hold *hold = seai_block_find_hold(model->blocks[i], model->holders[h]);

			CHECK_EQ(hold ? hold->count : 0, model->count[i][h]);
			CHECK_EQ(hold ? hold->n_tokens : 0, model->tokens[i][h]);
		}
	}
}

static void model_orphan(struct model *model, unsigned block)
{
	model->orphans[model->n_orphans++] = block;
	model->own[block]++;
}

/* Orphans came as expected and in order; they are given up at once. */
static void model_take_orphans(struct model *model)
{
	for (unsigned i = 0; i < model->n_orphans; i++) {
		struct sea_message *orphan = books_orphan(&model->books);

		CHECK(orphan);
		CHECK_EQ(sea_message_get_tag(orphan), model->orphans[i]);
		CHECK(orphan->ref.block == model->blocks[model->orphans[i]]);
		sea_message_unref(orphan);
		model->own[model->orphans[i]]--;
	}
	CHECK(!books_orphan(&model->books));
	model->n_orphans = 0;
	model_check(model);
}

static void model_take_one(struct model *model, unsigned block, unsigned h, bool has_token)
{
	model->count[block][h]--;
	if (has_token && model->tokens[block][h])
		model->tokens[block][h]--;
	if (model->tokens[block][h] > model->count[block][h])
		model->tokens[block][h] = model->count[block][h];
}

static void model_publish(struct model *model, unsigned f, unsigned b, uint64_t head)
{
	unsigned n = 0;

	for (; n < model->n_log[f][b] && model->logs[f][b][n].position < head; n++)
		if (model->logs[f][b][n].op == SEAI_RECORD_DROP)
			model->own[model->logs[f][b][n].block]--;
	memmove(model->logs[f][b], model->logs[f][b] + n, (model->n_log[f][b] - n) * sizeof(struct model_grant));
	model->n_log[f][b] -= n;
	model->published[f][b] = head > model->published[f][b] ? head : model->published[f][b];
}

static void model_grant(struct model *model, unsigned f, unsigned b, unsigned block)
{
	static const enum seai_record_op ops[] = { SEAI_RECORD_TRANSFER, SEAI_RECORD_SHARE, SEAI_RECORD_DROP };
	enum seai_record_op op = ops[test_random() % 3];
	struct seai_record record = record_of(op, model->blocks[block]);
	bool is_covered = model->count[block][f] > 0;

	record.has_token = op != SEAI_RECORD_SHARE && test_random() % 2;
	record.target_id = model->ids[b];
	record.link_id = model->links[f][b];
	record.position = model->positions[f][b];
	record.published = model->published[f][b];
	CHECK_EQ(books_apply(&model->books, model->holders[f], &record),
	         is_covered ? SEAI_APPLIED : SEAI_APPLIED_UNCOVERED);
	if (!is_covered)
		return;
	{
		bool has_token = record.has_token && model->tokens[block][f];

		if (op == SEAI_RECORD_DROP) {
			model->own[block]++;
		} else if (model->debts[block][b]) {
			model->debts[block][b]--;
		} else {
			model->count[block][b]++;
			model->tokens[block][b] += op == SEAI_RECORD_TRANSFER && has_token;
		}
		model->logs[f][b][model->n_log[f][b]++] = (struct model_grant){
			block, model->blocks[block], record.generation, op, record.has_token, record.position
		};
		model->positions[f][b]++;
		if (op != SEAI_RECORD_SHARE)
			model_take_one(model, block, f, has_token);
	}
}

static int compare_sequence(const void *a, const void *b, void *userdata)
{
	const struct model *model = userdata;
	uint64_t x = model->sequence[*(const unsigned *)a], y = model->sequence[*(const unsigned *)b];

	return (x > y) - (x < y);
}

/* The steps of a settlement of f towards b that got as far as head. */
static void model_settle(struct model *model, unsigned f, unsigned b, uint64_t head)
{
	struct model_grant *log;
	unsigned n;
	bool is_there[LOG_N_MAX];

	model_publish(model, f, b, head);
	log = model->logs[f][b];
	n = model->n_log[f][b];
	for (unsigned i = 0; i < n; i++) {
		unsigned block = log[i].block, sum = model->own[block];

		/* A block that nobody holds after the published part is free by now. */
		for (unsigned h = 0; h < N_HOLDERS; h++)
			sum += model->count[block][h];
		is_there[i] = model->blocks[block] && model->blocks[block] == log[i].was &&
		              log[i].was->generation == log[i].generation && sum > 0;
		if (!is_there[i] || log[i].op == SEAI_RECORD_DROP)
			continue;
		model->own[block]++;
		if (model->count[block][b])
			model_take_one(model, block, b, log[i].has_token && log[i].op == SEAI_RECORD_TRANSFER);
		else
			model->debts[block][b]++;
	}
	for (unsigned i = 0; i < n; i++)
		if (is_there[i] && log[i].has_token)
			model_orphan(model, log[i].block);
	for (unsigned i = 0; i < n; i++)
		if (is_there[i])
			model->own[log[i].block]--;
	model->n_log[f][b] = 0;
}

static void model_kill(struct model *model, unsigned f)
{
	unsigned heads[N_BLOCKS], n_heads = 0;

	for (unsigned i = 0; i < N_BLOCKS; i++)
		if (model->blocks[i] && model->tokens[i][f])
			heads[n_heads++] = i;
	qsort_r(heads, n_heads, sizeof(heads[0]), compare_sequence, model);
	for (unsigned i = 0; i < n_heads; i++)
		model_orphan(model, heads[i]);
	for (unsigned i = 0; i < N_BLOCKS; i++)
		model->count[i][f] = model->tokens[i][f] = model->debts[i][f] = 0;
	for (unsigned h = 0; h < N_HOLDERS; h++)
		model_publish(model, h, f, UINT64_MAX);
	books_kill(&model->books, model->holders[f]);
	model_take_orphans(model);
	while (model->books.ledger->settlements) {
		struct seai_settlement *settlement = model->books.ledger->settlements;
		unsigned b = 0;
		uint64_t head;

		while (model->ids[b] != settlement->target_id)
			b++;
		CHECK_EQ(settlement->forwarder_id, model->ids[f]);
		CHECK_EQ(settlement->log.n, model->n_log[f][b]);
		head = model->logs[f][b][0].position + test_random() % (model->n_log[f][b] + 1);
		/* Model first: it looks at the generations that the ledger is about to move. */
		model_settle(model, f, b, head);
		books_settle(&model->books, head);
		model_take_orphans(model);
	}
	/* A new process in its place. */
	model->ids[f] = ++model->next_id;
	CHECK_OK(seai_ledger_add_holder(model->books.ledger, model->ids[f], &model->holders[f]));
	for (unsigned h = 0; h < N_HOLDERS; h++) {
		CHECK_EQ(model->n_log[f][h], 0);
		model->positions[f][h] = model->published[f][h] = model->positions[h][f] = model->published[h][f] = 0;
		model->links[f][h] = ++model->next_id;
		model->links[h][f] = ++model->next_id;
	}
}

static void model_step(struct model *model)
{
	unsigned block = (unsigned)(test_random() % N_BLOCKS), h = (unsigned)(test_random() % N_HOLDERS);
	unsigned other = (h + 1 + (unsigned)(test_random() % (N_HOLDERS - 1))) % N_HOLDERS;
	unsigned choice = (unsigned)(test_random() % 100);

	if (choice < 2) {
		model_kill(model, h);
		return;
	}
	if (choice < 12) {
		uint64_t head = model->published[h][other] +
		                test_random() % (model->positions[h][other] - model->published[h][other] + 1);

		CHECK_EQ(books_publish(&model->books, model->holders[h], model->ids[other], model->links[h][other],
		                       head),
		         SEAI_APPLIED);
		model_publish(model, h, other, head);
	} else if (!model->blocks[block]) {
		model->blocks[block] = books_send(&model->books, model->holders[h], block);
		model->own[block] = 0;
		model->count[block][h] = model->tokens[block][h] = 1;
		model->sequence[block] = model->n_sent++;
	} else if (choice < 20) {
		SEAI_LOCKED(&model->books.session->books, lock);
		model->blocks[block]->n_own++;
		model->own[block]++;
		CHECK_OK(seai_ledger_hold(model->blocks[block], model->holders[h], true));
		model->count[block][h]++;
		model->tokens[block][h]++;
		seai_ledger_release_own(model->books.session, model->blocks[block]);
		model->own[block]--;
	} else if (choice < 60) {
		model_grant(model, h, other, block);
	} else {
		struct seai_record record = record_of(choice < 85 ? SEAI_RECORD_RELEASE : SEAI_RECORD_RETURN,
		                                      model->blocks[block]);

		record.has_token = test_random() % 2;
		CHECK_EQ(books_apply(&model->books, model->holders[h], &record),
		         model->count[block][h] ? SEAI_APPLIED : SEAI_APPLIED_UNCOVERED);
		if (model->count[block][h]) {
			if (record.op == SEAI_RECORD_RETURN && record.has_token && model->tokens[block][h])
				model_orphan(model, block);
			model_take_one(model, block, h, record.has_token);
		}
	}
	model_take_orphans(model);
}

TEST(random, "thousands of random records, deaths and settlements leave the ledger as a simple model says")
{
	struct model *model = calloc(1, sizeof(*model));
	int n_steps = test_is_soak() ? 2000000 : 20000;

	CHECK(model);
	books_init(&model->books, SEA_ORPHANS_KEEP);
	model->next_id = 0x10000;
	for (unsigned h = 0; h < N_HOLDERS; h++) {
		model->ids[h] = ++model->next_id;
		CHECK_OK(seai_ledger_add_holder(model->books.ledger, model->ids[h], &model->holders[h]));
		for (unsigned i = 0; i < N_HOLDERS; i++)
			model->links[h][i] = ++model->next_id;
	}
	for (int i = 0; i < n_steps; i++)
		model_step(model);
	for (unsigned h = 0; h < N_HOLDERS; h++)
		model_kill(model, h);
	for (unsigned i = 0; i < N_BLOCKS; i++)
		CHECK(!model->blocks[i]);
	CHECK_GT(model->books.ledger->n_freed, 100);
	books_fini(&model->books);
	free(model);
}
