// A network between the library and the server that does what real ones do: loses what is sent, delays it, breaks
// off, half closes, or leads to another server from now on.

import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `pass`: as if it were not there. `swallow`: takes what is sent and hands on nothing; a connection that met it stays
 * dead. `hold`: hands on nothing of what the client sends until it passes again. `refuse`: breaks off at once.
 */
export type NetworkMode = 'pass' | 'swallow' | 'hold' | 'refuse'

export interface NetworkOptions {
  /** Keeps what clients send, for those methods that choose by a text. Default: true. */
  remembers?: boolean
  /**
   * A connection that was swallowed is broken on the server's side after so many milliseconds, as TCP keepalives do it.
   * Default: it never is.
   */
  keepAliveMs?: number
}

export class Network {
  /** Connections that were asked for so far. */
  opened = 0
  /** Milliseconds by which whatever is sent is late. */
  delayMs = 0
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #remembers: boolean
  /** After how long the server finds out that a connection is dead. */
  readonly keepAliveMs: number | undefined
  #host: string
  #port: number
  #mode: NetworkMode = 'pass'
  #loss: { marks: readonly string[]; happened: () => void } | undefined

  private constructor(server: Server, dsn: string, { remembers = true, keepAliveMs }: NetworkOptions) {
    this.#server = server
    this.#remembers = remembers
    this.keepAliveMs = keepAliveMs
    ;[this.#host, this.#port] = addressOf(dsn)
  }

  /** In front of the server of this DSN. */
  static async start(dsn: string, options: NetworkOptions = {}): Promise<Network> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    const network = new Network(server, dsn, options)
    server.on('connection', (client) => network.#accept(client))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return network
  }

  /** The same DSN, through it. */
  dsnOf(dsn: string): string {
    const url = new URL(dsn)
    url.hostname = '127.0.0.1'
    url.port = `${(this.#server.address() as { port: number }).port}`
    return url.href
  }

  get mode(): NetworkMode {
    return this.#mode
  }

  /** For the connections there are and those to come. */
  become(mode: NetworkMode): void {
    this.#mode = mode
    for (const link of this.#links) link.become(mode)
  }

  /** New connections lead to another server. */
  switchTo(dsn: string): void {
    ;[this.#host, this.#port] = addressOf(dsn)
  }

  /** Breaks all connections, or those that sent such a text at some time. */
  reset(sent?: string): void {
    for (const link of this.linksThatSent(sent)) link.reset()
  }

  /** Says goodbye to the client, and goes on listening to it. */
  halfClose(): void {
    for (const link of this.#links) link.client.end()
  }

  /** How many connections there are. */
  get size(): number {
    return this.#links.size
  }

  /** From now on nothing goes through the connections that sent such a text at some time. @returns how many */
  deaden(sent: string): number {
    const links = this.linksThatSent(sent)
    for (const link of links) link.become('swallow')
    return links.length
  }

  /**
   * The next connection that sends this text (any, where none is given) is broken when the server has answered and before the client hears it.
   * Resolves when that has happened.
   */
  loseAnswerTo(...marks: string[]): Promise<void> {
    return new Promise((resolve) => {
      this.#loss = { marks, happened: resolve }
    })
  }

  /** What loseAnswerTo() waits for is not to happen any more. */
  loseNoAnswer(): void {
    this.#loss = undefined
  }

  async close(): Promise<void> {
    this.reset()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  linksThatSent(text?: string): Link[] {
    return [...this.#links].filter((link) => text === undefined || link.sent.includes(text))
  }

  /** Whether the answer to what was sent shall be lost; for one connection only. */
  takesAnswerTo(chunk: Buffer): (() => void) | undefined {
    const loss = this.#loss
    if (loss === undefined || !loss.marks.every((mark) => chunk.includes(mark))) return undefined
    this.#loss = undefined
    return loss.happened
  }

  #accept(client: Socket): void {
    this.opened += 1
    if (this.#mode === 'refuse') {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const server = connect({ port: this.#port, host: this.#host, allowHalfOpen: true })
    const link = new Link(this, client, server, this.#remembers)
    link.become(this.#mode)
    this.#links.add(link)
    client.on('close', () => this.#links.delete(link))
  }
}

function addressOf(dsn: string): [string, number] {
  const { hostname, port } = new URL(dsn)
  // An address of IPv6 stands in brackets there.
  return [hostname.replace(/^\[|\]$/g, '') || '127.0.0.1', Number(port || 5432)]
}

const remembered = 100_000

export class Link {
  /** The last of what the client sent. */
  sent = ''
  readonly client: Socket
  readonly #server: Socket
  readonly #network: Network
  readonly #remembers: boolean
  #mode: NetworkMode = 'pass'
  #held: Buffer[] = []
  #answerLost: (() => void) | undefined

  constructor(network: Network, client: Socket, server: Socket, remembers: boolean) {
    this.#network = network
    this.#remembers = remembers
    this.client = client
    this.#server = server
    client.setNoDelay(true)
    server.setNoDelay(true)
    client.on('data', (chunk) => this.#fromClient(chunk))
    server.on('data', (chunk) => this.#fromServer(chunk))
    const unlessDead = (act: () => void) => () => {
      if (this.#mode !== 'swallow') act()
    }
    client.on(
      'end',
      unlessDead(() => server.end()),
    )
    server.on(
      'end',
      unlessDead(() => client.end()),
    )
    for (const socket of [client, server]) {
      socket.on('error', () => {})
      socket.on(
        'close',
        unlessDead(() => this.reset()),
      )
    }
    client.resume()
  }

  /** What was swallowed once is lost, and the connection with it. */
  become(mode: NetworkMode): void {
    if (this.#mode === 'swallow') return
    this.#mode = mode
    if (mode === 'refuse') this.reset()
    if (mode === 'swallow' && this.#network.keepAliveMs !== undefined)
      setTimeout(() => this.#server.resetAndDestroy(), this.#network.keepAliveMs).unref()
    if (mode !== 'pass') return
    for (const chunk of this.#held.splice(0)) this.#send(this.#server, chunk)
  }

  reset(): void {
    this.#mode = 'pass'
    for (const socket of [this.client, this.#server]) if (!socket.destroyed) socket.resetAndDestroy()
  }

  #fromClient(chunk: Buffer): void {
    if (this.#remembers) this.sent = (this.sent + chunk.toString('latin1')).slice(-remembered)
    this.#answerLost ??= this.#network.takesAnswerTo(chunk)
    if (this.#mode === 'hold') this.#held.push(chunk)
    else if (this.#mode === 'pass') this.#send(this.#server, chunk)
  }

  #fromServer(chunk: Buffer): void {
    if (this.#mode === 'swallow') return
    if (this.#answerLost === undefined) this.#send(this.client, chunk)
    else {
      this.reset()
      this.#answerLost()
    }
  }

  #send(socket: Socket, chunk: Buffer): void {
    const { delayMs } = this.#network
    if (delayMs === 0) socket.write(chunk)
    else setTimeout(() => socket.destroyed || socket.write(chunk), delayMs)
  }
}
