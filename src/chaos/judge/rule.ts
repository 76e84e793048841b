// A rule: a promise, and how to find out where it was broken.

import type { Books } from './books.js'

export interface Finding {
  /** How many things were looked at: a rule that had nothing to look at proves nothing. */
  readonly checked: number
  /** What breaks the promise, in words, each with its message or program. */
  readonly violations: readonly string[]
}

export interface Rule {
  readonly name: string
  readonly promise: string
  /** Why it is not asked of this system. */
  skip?(books: Books): string | undefined
  find(books: Books): Finding
}
