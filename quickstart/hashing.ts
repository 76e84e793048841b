// What the quickstart's processes share: the queue, and the table of its own that stands beside it.

import { queue } from 'pgqrs'

/** One message for each file: `id` is its row in the table `files`, `path` where it lies below the folder. */
export const hashing = queue<{ id: number; path: string }>('hash_files')

export const createTable = `
  create table files (
    id integer primary key,
    path text not null,
    size bigint not null,
    sha256 text,
    writes integer not null default 0
  )`

/** Short, so that what a killed consumer held is soon delivered again; lengthened while a file takes longer. */
export const leaseMs = 3_000

export const batchSize = 10

/** Of a file that cannot be read; then its message is a dead letter. */
export const attempts = 3
export const retryDelayMs = 200

/** What a consumer says to the program that started it. */
export type Report = { ready: true } | { holding: number }

/** What it is told: to begin, to take a batch and come to a stand in the middle of it, or to end. */
export type Order = 'work' | 'hold' | 'end'
