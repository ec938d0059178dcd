################################################################################
#
# tanshu
#
################################################################################

TANSHU_VERSION = 0.1.0
TANSHU_SITE = $(BR2_EXTERNAL_TANSHU_PATH)/wheelhouse
TANSHU_SITE_METHOD = local
TANSHU_LICENSE = Apache-2.0
TANSHU_DEPENDENCIES = python3

TANSHU_PACKAGES = $(TARGET_DIR)/usr/lib/python$(PYTHON3_VERSION_MAJOR)/site-packages

# agent and drivers are common names: no other package of the image may own them.
define TANSHU_INSTALL_TARGET_CMDS
	for name in agent drivers; do \
		if [ -e $(TANSHU_PACKAGES)/$$name ] && \
			[ ! -e $(TANSHU_PACKAGES)/tanshu-$(TANSHU_VERSION).dist-info ]; then \
			echo "tanshu: another package installs $$name"; exit 1; \
		fi; \
	done
	mkdir -p $(TANSHU_PACKAGES)
	for wheel in $(@D)/*.whl; do \
		unzip -q -o $$wheel -d $(TANSHU_PACKAGES) || exit 1; \
	done
	rm -rf $(TANSHU_PACKAGES)/*.data
	$(INSTALL) -D -m 0755 $(BR2_EXTERNAL_TANSHU_PATH)/package/tanshu/tanshu.sh \
		$(TARGET_DIR)/usr/bin/tanshu
endef

define TANSHU_INSTALL_INIT_SYSTEMD
	mkdir -p $(TARGET_DIR)/usr/lib/systemd/system
	sed -e 's|/opt/tanshu/.venv/bin/tanshu|/usr/bin/tanshu|' -e '/^Documentation=/d' \
		$(BR2_EXTERNAL_TANSHU_PATH)/../systemd/tanshu.service \
		>$(TARGET_DIR)/usr/lib/systemd/system/tanshu.service
endef

$(eval $(generic-package))
