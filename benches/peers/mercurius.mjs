// The peer for flat rows: mercurius with its JIT, serving the same rows from memory. Argument: the rows as NDJSON.
// Prints its port.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import mercurius from 'mercurius'

const rows = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
const scalar = { Long: '', DateTime: '', LocalDateTime: '' }
const schema = `
  ${Object.keys(scalar).map((name) => `scalar ${name}`).join('\n')}
  type Publication {
    id: ID! productId: ID! name: String! process: String! macroProcess: String! referenceDate: String!
    periodStart: LocalDateTime! periodEnd: LocalDateTime! granularity: String! status: String! revisionId: ID
    revisionCount: Int! fileName: String size: Long storedSize: Long receivedAt: DateTime!
  }
  type PublicationConnection { totalCount: Int! nodes: [Publication!]! }
  type Query { publications(first: Int): PublicationConnection! }`
const resolvers = { Query: { publications: (_, { first }) => ({ totalCount: rows.length, nodes: rows.slice(0, first) }) } }

const app = Fastify()
app.register(mercurius, { schema, resolvers, jit: 1 })
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(app.server.address().port)
