package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import io.grpc.TlsServerCredentials;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class OptionsTest {
  /** Self-signed certificate and its key, in PEM. */
  private record Identity(byte[] pem, byte[] key) {
    /** Makes an identity with keytool, the only way in Java. */
    static Identity make(Path folder, String name) throws Exception {
      Path store = folder.resolve(name + ".p12");
      String keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
      List<String> command =
          List.of(
              keytool, "-genkeypair", "-keystore", store.toString(), "-storetype", "PKCS12", "-storepass", "changeit",
              "-alias", "it", "-keyalg", "EC", "-dname", "CN=" + name, "-ext", "san=ip:127.0.0.1");
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      assertEquals(0, process.waitFor(), () -> process.inputReader().lines().toList().toString());
      KeyStore keys = KeyStore.getInstance("PKCS12");
      try (InputStream in = Files.newInputStream(store)) {
        keys.load(in, "changeit".toCharArray());
      }
      byte[] key = keys.getKey("it", "changeit".toCharArray()).getEncoded();
      return new Identity(pem("CERTIFICATE", keys.getCertificate("it").getEncoded()), pem("PRIVATE KEY", key));
    }

    private static byte[] pem(String kind, byte[] der) {
      String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
      return ("-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n").getBytes(UTF_8);
    }
  }

  /** Returns a certificate in PEM. */
  static String authority(Path folder) throws Exception {
    return new String(Identity.make(folder, "authority").pem, UTF_8);
  }

  @Test
  void tls_trusts_only_the_given_certificates(@TempDir Path folder) throws Exception {
    Identity server = Identity.make(folder, "server");
    Identity caller = Identity.make(folder, "caller");
    var credentials =
        TlsServerCredentials.newBuilder()
            .keyManager(new ByteArrayInputStream(server.pem), new ByteArrayInputStream(server.key))
            .trustManager(new ByteArrayInputStream(caller.pem))
            .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE)
            .build();
    try (Fake fake = Fake.secure(credentials)) {
      String address = fake.address();
      String secure = "https://" + address;

      Options right = Switchboard.builder(address).caCertificate(server.pem).clientCertificate(caller.pem, caller.key);
      try (Switchboard switchboard = right.connect()) {
        switchboard.converse(ask("", "Hi"));
      }

      refused(Switchboard.builder(address).caCertificate(server.pem));
      refused(Switchboard.builder(secure).clientCertificate(caller.pem, caller.key));
      refused(Switchboard.builder(address));
      assertEquals(1, fake.calls());
    }
  }

  @Test
  void options_that_cannot_work_are_said_at_once() {
    byte[] nothing = "k3y".getBytes(UTF_8);
    List<Supplier<Options>> wrong =
        List.of(
            () -> Switchboard.builder("ftp://gateway:1"),
            () -> Switchboard.builder("http://"),
            () -> Switchboard.builder("http://gateway/v1"),
            () -> Switchboard.builder("no host"),
            () -> Switchboard.builder("http://gateway:1").caCertificate(nothing),
            () -> Switchboard.builder("gateway:1").caCertificate(nothing),
            () -> Switchboard.builder("gateway:1").clientCertificate(nothing, nothing),
            () -> Switchboard.builder("gateway:1").bearerToken("s3cret\n"),
            () -> Switchboard.builder("gateway:1").bearerToken(""));
    for (Supplier<Options> options : wrong) {
      var failure = assertThrows(SwitchboardException.class, () -> options.get().connect().close());

      assertEquals(ErrorKind.OPTIONS, failure.kind());
      assertFalse(failure.getMessage().contains("s3cret") || failure.getMessage().contains("k3y"), failure::getMessage);
    }
    List<String> right = List.of(Switchboard.DEFAULT_ADDRESS, "gateway:50051", "https://gateway", "http://[::1]:1/");
    right.forEach(address -> Switchboard.connect(address).close());
  }

  private static void refused(Options options) {
    try (Switchboard switchboard = options.connect()) {
      var failure = assertThrows(SwitchboardException.class, () -> switchboard.converse(ask("", "Hi")));

      assertEquals(Status.Code.UNAVAILABLE, failure.code(), failure::getMessage);
    }
  }
}
