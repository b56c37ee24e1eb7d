// Runs the audit suite of the npm package graphql-http against a running service: node graphql-http.mjs URL
import { auditServer } from 'graphql-http';

const results = await auditServer({ url: process.argv[2] });
const failed = results.filter((result) => result.status !== 'ok');
for (const { id, name, reason } of failed) console.log(`${id} ${name}: ${reason}`);
console.log(`${results.length - failed.length} of ${results.length}`);
process.exit(failed.length ? 1 : 0);
