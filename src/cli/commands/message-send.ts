// pgqrs message send: one message, or a file of them.
import { type Command, Option } from 'commander'
import { type EnqueueOptions, Producer } from '../../index.js'
import * as read from '../arguments.js'
import { examples } from '../examples.js'
import { misuse } from '../failure.js'
import { type Connected, connected } from '../session.js'
import { counted } from '../text.js'
import { enqueueFile } from './send-file.js'

interface SendOptions extends EnqueueOptions {
  file?: string
}

export function addSend(message: Command): void {
  message
    .command('send')
    .description('Enqueue a message, or with --file a message for each line of a file')
    .argument('<queue>', 'the queue', read.queueName)
    .argument('[payload]', 'the payload, as JSON', (text: string) => read.json(text, 'The payload'))
    .option('--delay <time>', 'due after so long: seconds, or as 5m', read.duration('--delay'))
    .addOption(
      new Option('--at <time>', 'due at this time, in ISO 8601').argParser(read.time).conflicts('delay'),
    )
    .option('--priority <n>', 'lower first (default: 0)', priority)
    .option('--headers <json>', 'a small JSON object that travels beside the payload', read.headers)
    .option('--max-attempts <n>', "attempts before it is a dead letter (default: the queue's)", read.attempts)
    .option('--file <file>', 'NDJSON: a payload on each line, all enqueued or none; - is stdin')
    .addHelpText(
      'after',
      examples(
        `pgqrs message send emails '{"to": "ada@example.com"}'`,
        `pgqrs message send emails '{"to": "ada@example.com"}' --delay 30 --priority 1`,
        'pgqrs message send emails --file messages.ndjson',
      ),
    )
    .action(send)
}

const priority = read.count('--priority', -2_147_483_648, 2_147_483_647)

const send = connected(
  async (session, queue: string, payload: unknown, { file, ...options }: SendOptions) => {
    if (file === undefined) await sendOne(session, queue, payload, options)
    else await sendFile(session, queue, file, options)
  },
  (queue, payload, { file }) => {
    if ((payload === undefined) !== (file === undefined)) return
    throw misuse(
      file === undefined ? 'The payload is missing.' : 'A payload and --file were given.',
      `Give one of them: pgqrs message send ${queue} '{"to": "ada"}', or --file FILE.`,
    )
  },
)

async function sendOne(
  { admin, output }: Connected,
  queue: string,
  payload: unknown,
  options: EnqueueOptions,
) {
  const producer = new Producer(admin.pool, queue, admin.config)
  await output.record(await producer.enqueue(payload, options))
}

async function sendFile(session: Connected, queue: string, file: string, options: EnqueueOptions) {
  const enqueued = await enqueueFile(session, queue, file, options)
  await session.output.result(
    { queue, enqueued },
    `Enqueued ${counted(enqueued, 'message')} to the queue ${queue}.`,
  )
}
