// The peer for durable ingest: Fastify with better-sqlite3, an insert and a synced commit per request. Argument: the
// database file. Prints its port.
import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import Fastify from 'fastify'

const db = new Database(process.argv[2])
db.pragma('journal_mode = WAL')
db.pragma('synchronous = FULL')
db.exec(`CREATE TABLE notifications (
  id TEXT PRIMARY KEY, received_at INTEGER NOT NULL, name TEXT NOT NULL, process TEXT, macro_process TEXT,
  reference_date TEXT, period_start TEXT, period_end TEXT, url TEXT NOT NULL, body TEXT NOT NULL)`)
const insert = db.prepare('INSERT INTO notifications VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')

const app = Fastify()
app.post('/webhook', (request, reply) => {
  const n = request.body
  const id = randomUUID()
  insert.run(id, Date.now(), n.nome, n.processo, n.macroProcesso, n.dataProduto, n.periodicidade, n.periodicidadeFinal,
    n.url, JSON.stringify(n))
  reply.code(202).send({ id })
})
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(app.server.address().port)
