// The seam between pgqrs and whatever speaks to PostgreSQL. drivers/ implement it; nothing above it knows which
// one is there.
//
// What a driver owes: values go in as parameters (strings, numbers, booleans, null, Date, and arrays of these);
// rows come out with bigint as a string of digits, integers and floats as numbers, timestamptz as Date, jsonb as
// the parsed value, boolean as boolean, null as null, and arrays of integer, float, bigint and timestamptz as
// arrays of these. Errors leave as PgqrsError, through sqlstates.ts.

/** A text to run, and a name under which the server may keep its plan. */
export interface Statement {
  readonly name: string
  readonly text: string
}

// biome-ignore lint/suspicious/noExplicitAny: a row's shape is its statement's; tables/ turns rows into objects
export type Row = Record<string, any>

/** Runs statements, on some connection of the pool or inside one transaction. */
export interface Executor {
  /**
   * @param timeoutMs gives up after so long, be it for a connection or for the answer, with DATABASE_UNAVAILABLE, and
   *   never uses the connection again: nobody knows then whether the statement was carried out. By default it waits
   */
  run(statement: Statement, values: readonly unknown[], timeoutMs?: number): Promise<Row[]>
}

/** An executor inside a transaction that the driver began. */
export interface TransactionExecutor extends Executor {
  /** Runs a script of several statements without parameters. */
  script(text: string): Promise<void>
  /** The driver's own client of this transaction, for statements of the caller's own. */
  readonly client: unknown
}

/** A connection of its own that listens to a channel. */
export interface Listener {
  /** Resolves when the connection is gone, for whatever reason. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

/** What ends a transaction that does not end by itself. By default nothing does. */
export interface TransactionLimits {
  /** For the connection and for each statement but the caller's own. */
  timeoutMs?: number
  /** Once it is aborted, the connection is cut: the transaction fails with the signal's reason, whatever `work` waits for. */
  until?: AbortSignal
}

export interface Driver extends Executor {
  /** How many connections it has at most; null when it cannot tell. */
  readonly maxConnections: number | null
  /** Begins a transaction, commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (tx: TransactionExecutor) => Promise<T>, limits?: TransactionLimits): Promise<T>
  /**
   * An executor inside a transaction that the caller began, on the caller's own client.
   * @throws PgqrsError ARGUMENT_INVALID when it is no client of this driver
   */
  enlist(tx: unknown): Executor
  /**
   * Opens a connection of its own and runs the statement, a LISTEN, on it.
   * @param dsn where to connect, when not where the pool does (a pooler does not deliver notifications)
   * @param heard called with the payload of each notification
   */
  listen(listen: Statement, heard: (payload: string) => void, dsn?: string): Promise<Listener>
  /** Closes what the driver itself has opened. */
  close(): Promise<void>
}
