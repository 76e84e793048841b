// Every way to a configuration.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Config } from 'pgqrs'

const folder = mkdtempSync(join(tmpdir(), 'pgqrs-example-'))
const file = join(folder, 'config.yaml')
writeFileSync(
  file,
  'dsn: postgresql://user:pass@localhost/db\nschema: my_schema\ndefault_max_batch_size: 200\n',
)

// From a DSN; the schema is public.
const fromDsn = Config.fromDsn('postgresql://user:pass@localhost/db')
console.log(`From a DSN: the schema is ${fromDsn.schema}.`)

// From a DSN and a schema.
const withSchema = Config.fromDsnWithSchema('postgresql://user:pass@localhost/db', 'my_schema')
console.log(`From a DSN and a schema: the schema is ${withSchema.schema}.`)

// From the environment: PGQRS_DSN, PGQRS_SCHEMA, …
const fromEnvironment = Config.fromEnv()
console.log(`From the environment: at most ${fromEnvironment.maxConnections} connections.`)

// From a certain file.
const fromFile = Config.fromFile(file)
console.log(`From a file: ${fromFile.defaultMaxBatchSize} messages in a batch.`)

// From all of them, field by field: the call, the environment, the file, the defaults.
const loaded = Config.load({ configFile: file, schema: 'pgqrs' })
console.log(
  `From all of them: the schema is ${loaded.schema}, ${loaded.defaultMaxBatchSize} messages in a batch.`,
)

// The same with the arguments of pgqrs for Rust: a DSN and a file, either may be missing.
const overridden = Config.loadWithOptions('postgresql://explicit:dsn@localhost/db', file)
console.log(`With arguments: connects to ${new URL(overridden.dsn).hostname}.`)

// A changed copy.
const longer = loaded.with({ defaultLockTimeSeconds: 60 })
console.log(
  `A copy: leases of ${longer.defaultLockTimeSeconds} seconds instead of ${loaded.defaultLockTimeSeconds}.`,
)

rmSync(folder, { recursive: true })
