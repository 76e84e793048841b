// 13: priorities and failures.
import { drain } from '../drain.js'
import { clock, messages, noOps } from '../no-ops.js'
import { type Scenario, within } from '../scenario.js'

export const mixed: Scenario = {
  number: 13,
  name: '8 priorities mixed; 10 % fail once and are tried again',
  measures: `Each of ten messages fails at its first attempt and is tried again after 100 ms; beside it a drain as in 4; ${clock}.`,
  units: { rate: 'messages/s', plain: 'messages/s' },
  systems: ['pgqrs'],
  asked: [within(['rate', 'plain'], { text: 'of the same drain without', atLeast: 0.7 })],
  alone: true,
  async run(stage) {
    const plain = await noOps(stage)
    const priorities = (from: number, count: number) => ({
      priorities: Array.from({ length: count }, (_, n) => (from + n) % 8),
    })
    await stage.fill(messages(stage), priorities)
    const failed = new Set<number>()
    const { rate, costs } = await drain(stage, {
      messages: messages(stage),
      retryMs: 100,
      handler({ n = 0 }) {
        if (n % 10 !== 0 || failed.has(n)) return
        failed.add(n)
        throw new Error('declined')
      },
    })
    return { values: { rate, plain: plain.values.rate as number }, costs }
  },
}
