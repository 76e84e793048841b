// COPY FROM STDIN with the package pg, which has no call for it: as much as a batch that is in memory needs.
import type pg from 'pg'

/** What a connection of pg can do, beyond its types. */
interface Connection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** Sends all rows and resolves when they are committed. */
export function copyIn(client: pg.ClientBase, text: string, rows: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = {
      submit: (connection: unknown) => (connection as Connection).query(text),
      handleCopyInResponse(connection: Connection) {
        connection.sendCopyFromChunk(rows)
        connection.endCopyFrom()
      },
      handleCommandComplete() {},
      handleReadyForQuery: () => resolve(),
      handleError: (error: Error) => reject(error),
    }
    client.query(copy)
  })
}

/** A line of COPY's text format for one value. */
export function copyLine(value: string): string {
  return `${value.replace(/[\\\n\r\t]/g, (letter) => escapes[letter] as string)}\n`
}

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
