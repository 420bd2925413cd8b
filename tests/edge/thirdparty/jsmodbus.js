// A meter by npm jsmodbus: node jsmodbus.js PORT '{"10":18,...}'
const net = require("net");
const modbus = require("jsmodbus");
const words = JSON.parse(process.argv[3]);
const registers = Buffer.alloc(4096);
for (const [address, word] of Object.entries(words)) registers.writeUInt16BE(word, 2 * address);
const bits = (one) => {
  const held = Buffer.alloc(512);
  held[one >> 3] |= 1 << one % 8;
  return held;
};
const socket = new net.Server();
new modbus.server.TCP(socket, {
  holding: registers,
  input: registers,
  coils: bits(7),
  discrete: bits(23),
});
socket.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
