// How far it is: a bar on a terminal, a line now and then elsewhere.

import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  at(done: number): void
  /** A line above the bar. */
  say(line: string): void
  end(): void
}

export function progressOf(total: number, out: NodeJS.WriteStream): Progress {
  return out.isTTY ? bar(total, out) : lines(total, out)
}

function bar(total: number, stream: NodeJS.WriteStream): Progress {
  const format = '  {bar} {value} of {total} files'
  const single = new SingleBar(
    { stream, format, hideCursor: true, clearOnComplete: true },
    Presets.shades_classic,
  )
  let last = 0
  const begin = () => single.start(total, last)
  begin()
  return {
    at(done) {
      last = done
      single.update(done)
    },
    say(line) {
      // Stopping clears the bar's own line.
      single.stop()
      stream.write(`${line}\n`)
      begin()
    },
    end: () => single.stop(),
  }
}

const quarters = 4

function lines(total: number, stream: NodeJS.WriteStream): Progress {
  let said = 0
  return {
    at(done) {
      const reached = Math.floor((done / total) * quarters)
      if (reached > said) stream.write(`  ${done} of ${total} files\n`)
      said = Math.max(said, reached)
    },
    say: (line) => stream.write(`${line}\n`),
    end: () => {},
  }
}
