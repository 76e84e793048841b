// pgqrs message: everything about single messages, in the files beside this one.
import type { Command } from 'commander'
import { examples } from '../examples.js'
import { addLooks } from './message-look.js'
import { addDelivery } from './message-read.js'
import { addSend } from './message-send.js'
import { addOperations } from './message-settle.js'

export function addMessage(pgqrs: Command): void {
  const message = pgqrs
    .command('message')
    .description('Send, read, settle and look at messages')
    .addHelpText('after', examples(`pgqrs message send emails '{"to": "ada"}'`, 'pgqrs message read emails'))
  addSend(message)
  addDelivery(message)
  addLooks(message)
  addOperations(message)
}
