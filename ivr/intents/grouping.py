"""Sentences in groups of those that are like each other. Pure: likeness in, numbers of the sentences out."""

from __future__ import annotations

import numpy as np

LEAST = 0.35
"""Likeness, on average, of the sentences of two groups from which they are one; chosen on topics of CLINC150."""


def grouped(likeness: np.ndarray, least: float = LEAST) -> list[list[int]]:
    """Groups of rows of `likeness` (n, n), largest first; a row stands in exactly one.

    Average linkage by chains of nearest neighbours (Murtagh 1983): time and memory grow with the square of n. A group
    that is nearest to nothing by `least` is done, because a merge of others never comes nearer to it than they were.
    """
    near = likeness.astype(np.float32)
    np.fill_diagonal(near, -np.inf)
    members = {row: [row] for row in range(len(near))}
    done: list[list[int]] = []
    chain: list[int] = []
    while members:
        chain = chain or [min(members)]
        here = chain[-1]
        other = int(near[here].argmax())
        if near[here, other] < least:
            done.append(sorted(members.pop(here)))
            near[here], near[:, here] = -np.inf, -np.inf
            chain.pop()
        elif len(chain) > 1 and near[here, chain[-2]] >= near[here, other]:
            other = chain[-2]
            ours, theirs = len(members[here]), len(members[other])
            row = (ours * near[here] + theirs * near[other]) / (ours + theirs)
            near[here], near[:, here] = row, row
            near[here, here] = -np.inf
            near[other], near[:, other] = -np.inf, -np.inf
            members[here] += members.pop(other)
            del chain[-2:]
        else:
            chain.append(other)
    return sorted(done, key=lambda group: (-len(group), group[0]))
