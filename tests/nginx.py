"""A real nginx with the configuration that is shipped, on a port of this machine, with TLS where a test wants it."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHOLE = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@contextlib.contextmanager
def proxied(
    folder: Path, port: int, behind: int, people: str = "", secret: str = "", tls: bool = False
) -> Iterator[str]:
    """nginx on `port` before a dashboard on the port `behind`; yields the address of the dashboard there.

    Args:
        people: lines as `htpasswd` writes them, for who may come in; '' for no such question.
        tls: with a certificate that is made here, and that nobody knows.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "No nginx here. Debian, Ubuntu: sudo apt-get install nginx-light"
    server = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    if tls:
        server = certified(server, folder)
    else:
        server = "\n".join(line for line in server.splitlines() if "ssl_certificate" not in line).replace(" ssl;", ";")
    server = server.replace("listen 443", f"listen 127.0.0.1:{port}").replace(":8501", f":{behind}")
    if people:
        (folder / "people").write_text(people)
        server = server.replace("#proxy ", "").replace("/etc/nginx/lab.htpasswd", str(folder / "people"))
        server = server.replace("the value of AELAB_PROXY_SECRET", secret)
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers cannot read the test's folder
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, server=server, user=user))
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.PIPE)
    try:
        _answers(port, process)
        yield f"http{'s' * tls}://127.0.0.1:{port}/lab"
    finally:
        process.terminate()
        process.wait(30)


def certified(server: str, folder: Path) -> str:
    """The configuration with a key and a certificate of our own."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    make += [
        "-subj",
        "/CN=lab",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(make, check=True, capture_output=True)
    server = server.replace("/etc/ssl/certs/lab.example.org.pem", str(certificate))
    return server.replace("/etc/ssl/private/lab.example.org.key", str(key))


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no nginx on port {port}")
