# What the Vagrantfile needs on the laptop: the settings, the kit as one archive, and the port that is forwarded.
# Only Ruby's own library, as it comes with Vagrant, and nothing of the laptop's: no git, no tar, no rsync, no Ansible.
require "fileutils"
require "rubygems/package"
require "socket"
require "yaml"
require "zlib"

module Virtlab
  ROOT = File.expand_path("..", __dir__)
  KIT = File.join(ENV["VAGRANT_DOTFILE_PATH"] || File.join(ROOT, ".vagrant"), "virtlab", "kit.tar.gz")
  # Labs with guests use the processor's own virtualization inside the machine where a provider can hand it on: on Intel
  # and AMD. Elsewhere they are emulated.
  INTEL = RbConfig::CONFIG["host_cpu"].match?(/x86_64|x64|amd64/)
  # name => [default, what it must look like, in words]; vagrant.yml, then VIRTLAB_VM_<NAME> override it
  SETTINGS = {
    "memory" => [4096, /\A\d{4,6}\z/, "megabytes, such as 4096"],
    "cpus" => [2, /\A\d{1,2}\z/, "a number, such as 2"],
    "disk" => [0, /\A(0|\d{2,4})\z/, "gigabytes, such as 40, or 0 for what the box has"],
    "port" => [8888, /\A\d{4,5}\z/, "a port, such as 8888"],
    "labs" => ["all", /\A(all|containers)\z/, "all or containers"],
    "language" => ["", /\A(|en|zh)\z/, "en or zh"],
    "box" => ["", /\A\S*\z/, "ready, public, or a box's name"],
    "work" => ["", /\A.*\z/, "a folder on this laptop"],
    "ca" => ["", /\A.*\z/, "a certificate's file (PEM)"],
    "nested" => [INTEL, /\A(true|false)\z/, "true or false"],
    "driver" => [File.writable?("/dev/kvm") ? "kvm" : "qemu", /\A(kvm|qemu)\z/, "kvm or qemu"],
  }.freeze
  # A proxy and a package index are the laptop's: what leads out of it leads out of the machine as well.
  PASSED = /\A((https?|ftp|all|no)_proxy|PIP_((EXTRA_)?INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|UV_((DEFAULT_)?INDEX|HTTP_TIMEOUT))\z/i
  TAKEN = %w[ansible.cfg docs inventory lab labs library LICENSE module_utils notebooks playbooks pyproject.toml
             README.md requirements*.txt roles src tests].freeze

  class Wrong < Vagrant::Errors::VagrantError
    def initialize(message)
      @said = message
      super()
    end

    def error_message
      @said
    end
  end

  module_function

  def settings
    file = File.join(ROOT, "vagrant.yml")
    given = File.exist?(file) ? YAML.safe_load(File.read(file)) || {} : {}
    raise Wrong, "vagrant.yml is not a table: write `name: value` lines." unless given.is_a?(Hash)
    unknown = given.keys.map(&:to_s) - SETTINGS.keys
    raise Wrong, "vagrant.yml knows no '#{unknown.first}'. There are: #{SETTINGS.keys.join(', ')}." if unknown.any?

    SETTINGS.to_h do |name, (default, form, words)|
      value = ENV.fetch("VIRTLAB_VM_#{name.upcase}", given.fetch(name, default)).to_s
      raise Wrong, "#{name} is '#{value}'. It must be #{words} (vagrant.yml or VIRTLAB_VM_#{name.upcase})." unless form.match?(value)
      [name.to_sym, { Integer => value.to_i, String => value }.fetch(default.class, value == "true")]
    end
  rescue Psych::SyntaxError => e
    raise Wrong, "I cannot read vagrant.yml: #{e.message}"
  end

  # The box that `lab box add` has registered for this version of the kit, if there is one.
  def ready_box(provider)
    name = "virtlab-#{File.read(File.join(ROOT, 'pyproject.toml'))[/^version = "(.+)"/, 1]}"
    home = ENV["VAGRANT_HOME"] || File.join(Dir.home, ".vagrant.d")
    name if Dir.glob(File.join(home.tr("\\", "/"), "boxes", name, "**", provider, "metadata.json")).any?
  end

  def box(settings, provider, public_box)
    case settings[:box]
    when "" then ready_box(provider) || public_box
    when "ready" then ready_box(provider) || "no-ready-box-for-#{provider}-is-registered"
    when "public" then public_box
    else settings[:box]
    end
  end

  # The file must exist whenever Vagrant looks at the configuration; it is filled when it is needed.
  def placeholder
    FileUtils.mkdir_p(File.dirname(KIT), mode: 0o700)
    FileUtils.touch(KIT)
    File.chmod(0o600, KIT)              # a proxy's password may be in it
    KIT
  end

  def pack(settings, listen)
    said = { "labs" => settings[:labs], "language" => settings[:language], "listen" => listen }
    said.merge!(ENV.select { |name, value| PASSED.match?(name) && !value.match?(%r{\A(file:|/|\z)}) })
    File.open(placeholder, "wb") do |file|
      Zlib::GzipWriter.wrap(file) do |zip|
        Gem::Package::TarWriter.new(zip) do |tar|
          files.each { |name| add(tar, name, File.binread(File.join(ROOT, name))) }
          add(tar, ".laptop/settings", said.map { |name, value| "#{name}=#{value}\n" }.join, 0o600)
          add(tar, ".laptop/ca.crt", certificate(settings[:ca])) unless settings[:ca].empty?
        end
      end
    end
  end

  def files
    Dir.chdir(ROOT) do
      TAKEN.flat_map { |name| Dir.glob([name, "#{name}/**/*"]) }
           .select { |name| File.file?(name) && !name.match?(%r{(^|/)__pycache__/|\.egg-info/}) }.uniq.sort
    end
  end

  # Windows has no executable bit: what starts with #! is a program.
  def add(tar, name, content, mode = nil)
    tar.add_file_simple(name, mode || (content.start_with?("#!") ? 0o755 : 0o644), content.bytesize) { |io| io.write(content) }
  end

  def certificate(file)
    File.binread(File.expand_path(file, ROOT))
  rescue SystemCallError => e
    raise Wrong, "I cannot read the certificate #{file}: #{e.message}"
  end

  def door(machine)
    machine.config.vm.networks.map(&:last).find { |options| options[:id] == "jupyterlab" }
  end

  def prepare(machine, settings)
    free_the_port(machine)
    # vagrant-libvirt forwards through SSH, to the machine's own loopback; the others to its network card.
    pack(settings, machine.provider_name == :libvirt ? "127.0.0.1" : "0.0.0.0")
  end

  # Most providers correct a taken port themselves, and can be asked; vagrant-libvirt would forward nothing and say nothing.
  def free_the_port(machine)
    return if machine.provider.capability?(:forwarded_ports) || machine.state.id == :running
    wanted = door(machine)[:host]
    found = (wanted..wanted + 200).find { |port| free?(port) }
    raise Wrong, "Ports #{wanted} to #{wanted + 200} are all taken. Choose another: VIRTLAB_VM_PORT=9888 vagrant up" unless found
    machine.ui.warn("Port #{wanted} is taken on this laptop; JupyterLab gets #{found}.") if found != wanted
    door(machine)[:host] = found
    machine.data_dir.join("virtlab_port").write(found.to_s)
  end

  def free?(port)
    TCPServer.new("127.0.0.1", port).close
    true
  rescue SystemCallError
    false
  end

  def port(machine)
    if machine.provider.capability?(:forwarded_ports)
      (machine.provider.capability(:forwarded_ports) || {}).key(door(machine)[:guest]) || door(machine)[:host]
    else
      there = machine.data_dir.join("virtlab_port")
      there.exist? ? there.read.to_i : door(machine)[:host]
    end
  end

  # The machine is told by which port the laptop's browser comes in, and says the address, with its token, when JupyterLab
  # answers: after a boot that takes a while.
  def tell(machine)
    command = "test -x /usr/local/bin/lab || exit 0; sudo install -d /var/lib/virtlab/host.d; " \
              "echo '{\"jupyterlab_port\": #{port(machine)}}' | sudo tee /var/lib/virtlab/host.d/laptop.json >/dev/null; " \
              "timeout 300 bash -c 'until : </dev/tcp/127.0.0.1/#{door(machine)[:guest]}; do sleep 1; done' 2>/dev/null; " \
              "lab jupyter url"
    machine.communicate.execute(command, error_check: false) do |type, data|
      machine.ui.success("\nJupyterLab: #{data.strip}\n") if type == :stdout && data.include?("http")
    end
  end
end
