// The lines of a file or of stdin, one after the other, in memory that does not grow with the file.
import { fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Failure, misuse } from './failure.js'

export interface Line {
  /** From 1. */
  number: number
  text: string
}

export interface Source {
  /** For messages: the path, or `stdin`. */
  readonly name: string
  /** Of the whole file, where that is known. */
  readonly bytes: number | undefined
  /** Bytes that were read so far. */
  read(): number
  lines(): AsyncGenerator<Line>
  close(): void
}

/**
 * @param file a path, or `-` for stdin
 * @param longest bytes of a line at most
 */
export async function openSource(file: string, longest: number): Promise<Source> {
  const stdin = file === '-'
  // Node would read a folder as an empty file: nothing enqueued, and exit code 0.
  if (stdin && fstatSync(0).isDirectory()) throw isFolder('stdin')
  const handle = stdin ? undefined : await openFile(file)
  const stream = handle?.createReadStream() ?? process.stdin
  const stat = await handle?.stat()
  const name = stdin ? 'stdin' : file
  let read = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      read += chunk.length
      yield chunk
    }
  }
  return {
    name,
    bytes: stat?.isFile() ? stat.size : undefined,
    read: () => read,
    lines: () => split(counted(), name, longest),
    close: () => void stream.destroy(),
  }
}

async function openFile(file: string) {
  try {
    const handle = await open(file, 'r')
    if (!(await handle.stat()).isDirectory()) return handle
    await handle.close()
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
    throw new Failure(`The file ${file} ${why}.`, { hint: 'Correct the path, or give - for stdin.', cause })
  }
  throw isFolder(file)
}

const isFolder = (name: string) =>
  new Failure(`${name} is a folder.`, { hint: 'Give a file with a payload on each line.' })

async function* split(chunks: AsyncIterable<Buffer>, name: string, longest: number): AsyncGenerator<Line> {
  let number = 0
  let parts: Buffer[] = []
  let length = 0
  const end = (): Line => {
    number += 1
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    parts = []
    length = 0
    return { number, text: decode(bytes, name, number) }
  }
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const newline = chunk.indexOf(10, from)
      const to = newline === -1 ? chunk.length : newline
      parts.push(chunk.subarray(from, to))
      length += to - from
      if (length > longest)
        throw misuse(
          `${name}, line ${number + 1}: it has more than ${longest} bytes.`,
          'Nothing was enqueued: each line is one payload.',
        )
      if (newline !== -1) yield end()
      from = to + 1
    }
  }
  if (length > 0) yield end()
}

/** Bytes that are no UTF-8 would become question marks without a word. */
function decode(bytes: Buffer, name: string, number: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Failure(`${name}, line ${number}: it is no UTF-8.`, {
      hint: 'Nothing was enqueued: save the file as UTF-8.',
      exitCode: 2,
      cause,
    })
  }
}
