// The network of src/chaos between the library and the server, for a single test.

import { onTestFinished } from 'vitest'
import { Network as AnyNetwork } from '../../src/chaos/network.js'

export type Network = AnyNetwork

export const Network = {
  /** In front of the server of this DSN; gone with the test. */
  async start(dsn: string): Promise<Network> {
    const network = await AnyNetwork.start(dsn)
    onTestFinished(() => network.close())
    return network
  },
}
