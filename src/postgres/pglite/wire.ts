// As much of PostgreSQL's wire protocol (version 3) as is needed to let several connections share a session: where
// messages end, what a few of them say, and the few that are made here.

/** A message with its type, and with its length in front of its body. */
export function message(type: string, ...body: (string | Buffer)[]): Buffer {
  const parts = body.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part))
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + parts.reduce((sum, { length }) => sum + length, 0), 1)
  return Buffer.concat([head, ...parts])
}

export function int32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeInt32BE(value, i * 4)
  return bytes
}

/** The messages that are there in full, one by one, and what is left over. */
export function split(bytes: Buffer): { messages: Buffer[]; rest: Buffer } {
  const messages: Buffer[] = []
  let at = 0
  while (bytes.length - at >= 5) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) break
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

export const typeOf = (one: Buffer): string => String.fromCharCode(one[0] as number)

/** The texts of its body from `from` on, each ended by a zero byte; so many at most. */
export function textsOf(one: Buffer, count: number, from = 5): string[] {
  const texts: string[] = []
  for (let at = from; texts.length < count; ) {
    const end = one.indexOf(0, at)
    if (end < 0) break
    texts.push(one.toString('utf8', at, end))
    at = end + 1
  }
  return texts
}

/** The SQL of a message that has some: a Query, or a Parse, whose first text is a name. */
export function sqlOf(one: Buffer): string | undefined {
  const type = typeOf(one)
  if (type === 'Q') return textsOf(one, 1)[0]
  return type === 'P' ? textsOf(one, 2)[1] : undefined
}

export const query = (sql: string): Buffer => message('Q', sql)
export const sync = message('S')
/** Ready for the next query, outside of any transaction. */
export const idle = message('Z', Buffer.from('I'))

export interface Complaint {
  severity?: 'ERROR' | 'FATAL'
  sqlstate: string
  text: string
  hint: string
}

export function complaint({ severity = 'ERROR', sqlstate, text, hint }: Complaint): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${sqlstate}`, `M${text}`, `H${hint}`]
  return message('E', ...fields, Buffer.from([0]))
}
