import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^pgqrs$/, replacement: at('./src/index.ts') },
      { find: /^pgqrs\/tables$/, replacement: at('./src/tables/index.ts') },
      { find: /^pgqrs\/testing$/, replacement: at('./src/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // On a shared machine a moment without processor time can fail a test that waits for an event: it is tried again
    // there. What is broken fails every time.
    retry: process.env.CI ? 2 : 0,
    pool: 'forks',
    maxWorkers: 2,
  },
})
