/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of sending channels: what is out, and what came back. Books lock held, but for seai_account_close(). */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "memory/ledger-private.h"
#include "memory/ledger.h"
#include "memory/message.h"

int seai_account_new(struct seai_account **ret_account, enum sea_orphans policy, int kick_fd)
{
	struct seai_account *account = calloc(1, sizeof(*account));

	if (!account)
		return -ENOMEM;
	account->policy = policy;
	account->kick_fd = kick_fd;
	*ret_account = account;
	return 0;
}

void seai_ledger_orphan(struct sea_session *session, struct seai_block *block)
{
	struct seai_account *account = block->account;
	struct sea_message *message;

	if (!(block->flags & SEAI_BLOCK_HEAD) || !account || account->closed || account->policy == SEA_ORPHANS_DROP)
		return;
	message = seai_message_of_head(session, block);
	if (!message)
		return;
	message->next = NULL;
	if (account->orphans)
		account->orphans_last->next = message;
	else
		account->orphans = message;
	account->orphans_last = message;
	account->n_orphans++;
	account->n_orphans_waiting++;
	session->ledger->n_orphans++;
	if (account->kick_fd >= 0)
		(void)!write(account->kick_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	seai_note_release(session);
}

struct sea_message *seai_account_take_orphan(struct seai_account *account)
{
	struct sea_message *message = account->orphans;

	if (!message)
		return NULL;
	account->orphans = message->next;
	message->next = NULL;
	account->n_orphans_waiting--;
	return message;
}

void seai_account_put_back(struct seai_account *account, struct sea_message *message)
{
	message->next = account->orphans;
	if (!account->orphans)
		account->orphans_last = message;
	account->orphans = message;
	account->n_orphans_waiting++;
}

void seai_account_close(struct sea_session *session, struct seai_account *account)
{
	struct sea_message *orphans, *message;
	bool is_over;

	{
		SEAI_LOCKED(&session->books, books);
		account->closed = true;
		account->kick_fd = -1;
		orphans = SEAI_TAKE(account->orphans);
		account->n_orphans_waiting = 0;
		/* While an orphan waits here it counts as outstanding, so the account lives until after the loop or is over now. */
		is_over = account->n_outstanding == 0;
	}
	if (is_over)
		free(account);
	while ((message = orphans)) {
		orphans = message->next;
		message->next = NULL;
		sea_message_unref(message);
	}
}
