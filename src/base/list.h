/*
 * base/list.h - an intrusive doubly linked list; the head is a node of its own.
 */
#ifndef LODGE_BASE_LIST_H
#define LODGE_BASE_LIST_H

#include "base/compiler.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(head) {&(head), &(head)}

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

/* Takes @n out and leaves it an empty list, so that a second removal does no harm. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

#define list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)

/* As list_for_each; @pos may be removed inside the body.  @tmp is a second cursor. */
#define list_for_each_safe(pos, tmp, head)                                                         \
	for (pos = (head)->next, tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

#endif
