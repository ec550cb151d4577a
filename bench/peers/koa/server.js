// Koa beside ours. `node server.js MODE PORT REDIS_PORT CASSANDRA_PORT`.
// hits: ioredis at its best on a Redis hit, one string a row, kept as the finished body, and reads of
// one turn of the loop sent as one pipeline; the benchmark puts rows there under `koa:<id>`.
// shape, uncached, bare: the shape of the original (`original.js`).
const Koa = require('koa');
const Router = require('@koa/router');
const Redis = require('ioredis');
const original = require('./original');

const [mode, ...ports] = process.argv.slice(2);
const [port, redisPort, cassandraPort] = ports.map(Number);
const redis = new Redis({ port: redisPort, enableAutoPipelining: mode === 'hits' });
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
  if (mode === 'hits') hits();
  else await original(router, redis, cassandraPort, mode);
  app.use(router.routes());
  app.listen(port, '127.0.0.1');
}

start();
