// Ids of the running service for the scenarios beside this file; asked for once a process.
let ids;

async function pick(context) {
  if (!ids) {
    const answer = await fetch(`${context.vars.target}/uuids?limit=5000`);
    ids = (await answer.json()).data;
  }
  context.vars.id = ids[Math.floor(Math.random() * ids.length)];
}

// What a visitor might hover over: an id of the page just fetched.
async function fromPage(context) {
  const rows = context.vars.rows.map((row) => Object.values(row)[0]);
  const row = rows[Math.floor(Math.random() * rows.length)];
  context.vars.id = row[Math.floor(Math.random() * row.length)];
}

module.exports = { pick, fromPage };
