// Koa and ioredis at their best on a Redis hit: one string a row, kept as the finished body, and
// reads of one turn of the loop sent as one pipeline. `node server.js PORT REDIS_PORT`; rows are
// put there by the benchmark under `koa:<id>`.
const Koa = require('koa');
const Router = require('@koa/router');
const Redis = require('ioredis');

const [port, redisPort] = process.argv.slice(2).map(Number);
const redis = new Redis({ port: redisPort, enableAutoPipelining: true });
const app = new Koa();
const router = new (Router.Router || Router)();

router.get('/healthz', (ctx) => {
  ctx.body = { status: 'success' };
});

router.get('/content/:id', async (ctx) => {
  const body = await redis.get(`koa:${ctx.params.id}`);
  if (body === null) ctx.throw(404);
  ctx.type = 'application/json';
  ctx.body = body;
});

app.use(router.routes());
app.listen(port, '127.0.0.1');
