// Koa beside ours. `node server.js PORT REDIS_PORT`: ioredis at its best on a Redis hit, one string
// a row, kept as the finished body, and reads of one turn of the loop sent as one pipeline; rows are
// put there by the benchmark under `koa:<id>`. With CASSANDRA_PORT as a third argument: the shape of
// the original (`original.js`).
const Koa = require('koa');
const Router = require('@koa/router');
const Redis = require('ioredis');
const original = require('./original');

const [port, redisPort, cassandraPort] = process.argv.slice(2).map(Number);
const redis = new Redis({ port: redisPort, enableAutoPipelining: !cassandraPort });
const app = new Koa();
const router = new (Router.Router || Router)();

router.get('/healthz', (ctx) => {
  ctx.body = { status: 'success' };
});

function hits() {
  router.get('/content/:id', async (ctx) => {
    const body = await redis.get(`koa:${ctx.params.id}`);
    if (body === null) ctx.throw(404);
    ctx.type = 'application/json';
    ctx.body = body;
  });
}

async function start() {
  if (cassandraPort) await original(router, redis, cassandraPort);
  else hits();
  app.use(router.routes());
  app.listen(port, '127.0.0.1');
}

start();
